//! Lambdas: functions without a name, told apart by where they stand.

use playtrace_model::{Lambda, SymbolKind};
use ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use ruff_python_ast::{Expr, ExprLambda, Stmt, Suite, TypeParams};
use ruff_text_size::{Ranged as _, TextRange, TextSize};

use crate::SourceText;
use crate::symbols::Definitions;

/// The lambdas of a module in source order; `places` are where the word stands, ascending.
pub(crate) fn lambdas(
    body: &Suite,
    text: &SourceText,
    definitions: &Definitions,
    places: &[TextSize],
) -> Vec<Lambda> {
    if places.is_empty() {
        return Vec::new();
    }
    let mut search = Search { text, definitions, places, scope: String::new(), found: Vec::new() };
    search.visit_body(body);
    search.found.sort_by_key(|lambda| (lambda.line, lambda.column));
    search.found
}

struct Search<'a> {
    text: &'a SourceText,
    definitions: &'a Definitions,
    places: &'a [TextSize],
    /// What a name defined here begins with.
    scope: String,
    found: Vec<Lambda>,
}

impl<'a> Search<'a> {
    /// Whether a lambda stands in `range`: most of a file needs no look.
    fn holds(&self, range: TextRange) -> bool {
        let next = self.places.partition_point(|&place| place < range.start());
        self.places.get(next).is_some_and(|&place| place < range.end())
    }

    fn inside(&mut self, scope: String, look: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.scope, scope);
        look(self);
        self.scope = outer;
    }

    /// The body of a definition, in the scope of its own.
    fn definition(&mut self, index: Option<usize>, body: &'a Suite) {
        let Some(definition) = index.map(|index| &self.definitions.list[index]) else { return };
        let scope = match definition.kind {
            SymbolKind::Class => format!("{}.", definition.qualname),
            _ => format!("{}.<locals>.", definition.qualname),
        };
        self.inside(scope, |search| search.visit_body(body));
    }

    /// The type parameters (PEP 695) of what is called `owner`: each bound has a scope in theirs.
    fn type_params(&mut self, params: Option<&'a TypeParams>, owner: &str) {
        if let Some(params) = params {
            let scope = format!("{}<generic parameters of {owner}>.", self.scope);
            self.inside(scope, |search| search.visit_type_params(params));
        }
    }

    fn lambda(&mut self, lambda: &'a ExprLambda) {
        if let Some(parameters) = &lambda.parameters {
            self.visit_parameters(parameters);
        }
        let qualname = format!("{}<lambda>", self.scope);
        let line = self.text.line(lambda.start());
        self.found.push(Lambda {
            qualname: qualname.clone(),
            line,
            column: self.text.column(lambda.start()),
            span: (line, self.text.line(lambda.end())),
        });
        self.inside(format!("{qualname}.<locals>."), |search| search.visit_expr(&lambda.body));
    }
}

impl<'a> Visitor<'a> for Search<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        if !self.holds(stmt.range()) {
            return;
        }
        match stmt {
            Stmt::FunctionDef(def) => {
                for decorator in &def.decorator_list {
                    self.visit_decorator(decorator);
                }
                self.type_params(def.type_params.as_deref(), def.name.as_str());
                self.visit_parameters(&def.parameters);
                if let Some(returns) = &def.returns {
                    self.visit_annotation(returns);
                }
                self.definition(self.definitions.index(&def.name), &def.body);
            }
            Stmt::ClassDef(class) => {
                for decorator in &class.decorator_list {
                    self.visit_decorator(decorator);
                }
                self.type_params(class.type_params.as_deref(), class.name.as_str());
                if let Some(arguments) = &class.arguments {
                    self.visit_arguments(arguments);
                }
                self.definition(self.definitions.index(&class.name), &class.body);
            }
            Stmt::TypeAlias(alias) => {
                let name = alias.name.as_name_expr().map_or("", |name| name.id.as_str());
                self.type_params(alias.type_params.as_deref(), name);
                let scope = format!("{}{name}.<locals>.", self.scope);
                self.inside(scope, |search| search.visit_expr(&alias.value));
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        if !self.holds(expr.range()) {
            return;
        }
        match expr {
            Expr::Lambda(lambda) => self.lambda(lambda),
            // Other comprehensions are part of the code around them (PEP 709). What the first `for` goes over is
            // evaluated outside. Names in it have no `<locals>`.
            Expr::Generator(generator) => {
                if let Some(first) = generator.generators.first() {
                    self.visit_expr(&first.iter);
                }
                let scope = format!("{}<genexpr>.", self.scope);
                self.inside(scope, |search| {
                    search.visit_expr(&generator.elt);
                    for (at, part) in generator.generators.iter().enumerate() {
                        search.visit_expr(&part.target);
                        if at > 0 {
                            search.visit_expr(&part.iter);
                        }
                        for condition in &part.ifs {
                            search.visit_expr(condition);
                        }
                    }
                });
            }
            _ => walk_expr(self, expr),
        }
    }
}
