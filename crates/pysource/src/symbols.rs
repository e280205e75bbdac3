//! The definitions of a file: classes, functions, methods, nested ones, with CPython's `__qualname__`.

use std::collections::BTreeSet;

use playtrace_model::{SymbolDetails, SymbolKind, SymbolTrait};
use ruff_python_ast::statement_visitor::{StatementVisitor, walk_body, walk_stmt};
use ruff_python_ast::{Decorator, ExceptHandler, Expr, Identifier, Pattern, Stmt, Suite};
use ruff_text_size::{Ranged, TextRange, TextSize};

use crate::SourceText;
use crate::future;
use crate::regions::{RegionNode, RegionNodes};
use crate::text::LineCursor;

/// A definition before its statements are known.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    /// `__qualname__`; empty for the module.
    pub(crate) qualname: String,
    pub(crate) kind: SymbolKind,
    /// Line of `def` or `class` (the name's line; folding to the logical line gives the keyword's).
    pub(crate) line: u32,
    pub(crate) span: (u32, u32),
    /// Whether its own statements run when the module is imported.
    pub(crate) at_import: bool,
    pub(crate) details: SymbolDetails,
    /// Where its name stands: definitions are found by it.
    name: TextSize,
}

/// All definitions of a file, the module first, then in source order.
#[derive(Debug, Clone)]
pub(crate) struct Definitions {
    pub(crate) list: Vec<Definition>,
    pub(crate) regions: RegionNodes,
    /// The `case`s that match whatever comes.
    pub(crate) catch_alls: Vec<CatchAll>,
    /// What the parser lets through and the compiler refuses: the first place, and why.
    pub(crate) problem: Option<(TextSize, &'static str)>,
}

/// A `case` that always matches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CatchAll {
    /// First and last line of its pattern.
    pub(crate) pattern: (u32, u32),
    /// First and last line of its body.
    pub(crate) body: (u32, u32),
}

impl Definitions {
    /// The module's index.
    pub(crate) const MODULE: usize = 0;

    /// Looks at a module; `has_global` is whether it holds a `global` statement at all.
    pub(crate) fn of(body: &Suite, text: &SourceText, has_global: bool) -> Self {
        let lines = text.cursor();
        let module = Definition {
            qualname: String::new(),
            kind: SymbolKind::Module,
            line: 1,
            span: (1, text.line_count().max(1)),
            at_import: true,
            details: SymbolDetails { docstring: docstring(body, &lines), ..SymbolDetails::default() },
            name: TextSize::new(0),
        };
        let mut found = Self {
            list: vec![module],
            regions: RegionNodes::default(),
            catch_alls: Vec::new(),
            problem: future::misplaced(body),
        };
        let globals = if has_global { Globals::of(body) } else { BTreeSet::new() };
        let mut collector = Collector {
            found: &mut found,
            text,
            lines: &lines,
            scope: Self::MODULE,
            globals,
            has_global,
            place: Place::TOP,
        };
        collector.visit_body(body);
        found
    }

    /// The definition whose name stands at `name`; `likely` is where to look first.
    pub(crate) fn index_near(&self, likely: usize, name: &Identifier) -> Option<usize> {
        match self.list.get(likely) {
            Some(definition) if definition.name == name.start() => Some(likely),
            _ => self.index(name),
        }
    }

    /// The definition whose name stands at `name`.
    pub(crate) fn index(&self, name: &Identifier) -> Option<usize> {
        // The module, which has no name, may share its place with nothing: a name comes after `def` or `class`.
        self.list.binary_search_by_key(&name.start(), |definition| definition.name).ok()
    }

    /// Line ranges of docstrings.
    pub(crate) fn docstrings(&self) -> impl Iterator<Item = (u32, u32)> {
        self.list.iter().filter_map(|definition| definition.details.docstring)
    }
}

fn docstring(body: &Suite, lines: &LineCursor) -> Option<(u32, u32)> {
    match body.first() {
        Some(Stmt::Expr(first)) if first.value.is_string_literal_expr() => {
            Some((lines.line(first.start()), lines.line(first.end())))
        }
        _ => None,
    }
}

struct Collector<'a> {
    found: &'a mut Definitions,
    text: &'a SourceText,
    lines: &'a LineCursor<'a>,
    /// The definition that we are in.
    scope: usize,
    /// The names that it declares `global`.
    globals: BTreeSet<String>,
    has_global: bool,
    place: Place,
}

/// What stands between a statement and the scope that it is in.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// A compound statement.
    conditional: bool,
    /// See [`RegionNode::in_bodies`].
    in_bodies: bool,
    /// A loop.
    in_loop: bool,
}

impl Place {
    const TOP: Self = Self { conditional: false, in_bodies: true, in_loop: false };
}

/// A `def` or `class` in parts.
struct Parts<'a> {
    name: &'a Identifier,
    kind: SymbolKind,
    is_async: bool,
    decorators: &'a [Decorator],
    range: TextRange,
    body: &'a Suite,
}

impl Collector<'_> {
    fn enter(&mut self, parts: &Parts) {
        let parent = &self.found.list[self.scope];
        let line = self.lines.line(parts.name.start());
        let first =
            parts.decorators.iter().map(|decorator| self.lines.line(decorator.expression.start())).min();
        let span = (first.map_or(line, |first| first.min(line)), self.lines.line(parts.range.end()));
        let definition = Definition {
            qualname: self.qualname(parent, parts.name.as_str()),
            kind: parts.kind,
            line,
            span,
            at_import: parts.kind == SymbolKind::Class && parent.at_import,
            details: self.details(parts),
            name: parts.name.start(),
        };
        let index = self.found.list.len();
        self.found.list.push(definition);
        self.found.regions.0.push(RegionNode {
            is_class: parts.kind == SymbolKind::Class,
            name: parts.name.as_str().to_owned(),
            start: line,
            body: self.body_lines(parts.body, span.1),
            parent: self.scope.checked_sub(1),
            in_bodies: self.place.in_bodies,
            place: self.found.regions.0.len(),
        });
        let globals = if self.has_global { Globals::of(parts.body) } else { BTreeSet::new() };
        let mut inner = Collector {
            found: self.found,
            text: self.text,
            lines: self.lines,
            scope: index,
            globals,
            has_global: self.has_global,
            place: Place::TOP,
        };
        inner.visit_body(parts.body);
    }

    /// First and last line of a body; CPython says of a decorated definition that it begins at its `def`.
    fn body_lines(&self, body: &Suite, last: u32) -> (u32, u32) {
        let start = match body.first() {
            Some(Stmt::FunctionDef(def)) if !def.decorator_list.is_empty() => def.name.start(),
            Some(Stmt::ClassDef(class)) if !class.decorator_list.is_empty() => class.name.start(),
            Some(stmt) => stmt.start(),
            None => return (last, last),
        };
        (self.lines.line(start), last)
    }

    fn details(&self, parts: &Parts) -> SymbolDetails {
        let mut traits = BTreeSet::new();
        if parts.is_async {
            traits.insert(SymbolTrait::Async);
        }
        if self.place.conditional {
            traits.insert(SymbolTrait::Conditional);
        }
        if !matches!(self.found.list[self.scope].kind, SymbolKind::Module | SymbolKind::Class) {
            traits.insert(SymbolTrait::Nested);
        }
        if parts.kind != SymbolKind::Class {
            traits.extend(parts.decorators.iter().filter_map(|decorator| trait_of(&decorator.expression)));
        }
        let decorators = parts
            .decorators
            .iter()
            .map(|decorator| {
                let source = &self.text.as_str()[decorator.expression.range()];
                if !source.contains(char::is_whitespace) {
                    return source.to_owned();
                }
                source.split_whitespace().collect::<Vec<_>>().join(" ")
            })
            .collect();
        SymbolDetails { traits, decorators, docstring: docstring(parts.body, self.lines) }
    }

    /// PEP 3155, as `compiler_set_qualname` applies it: a name that the parent declares global stands alone.
    fn qualname(&self, parent: &Definition, name: &str) -> String {
        let between = match parent.kind {
            _ if self.globals.contains(name) => return name.to_owned(),
            SymbolKind::Module => return name.to_owned(),
            SymbolKind::Class => ".",
            SymbolKind::Function | SymbolKind::Method => ".<locals>.",
        };
        [&parent.qualname, between, name].concat()
    }

    fn refuse(&mut self, stmt: &Stmt, problem: &'static str) {
        if self.found.problem.is_none() {
            self.found.problem = Some((stmt.start(), problem));
        }
    }

    /// Goes through the body of a loop.
    fn repeated(&mut self, suite: &Suite) {
        let before = std::mem::replace(&mut self.place.in_loop, true);
        self.part(suite, true);
        self.place.in_loop = before;
    }

    /// Goes through a part of a compound statement: its `body` or something else.
    fn part(&mut self, suite: &Suite, is_body: bool) {
        let before = self.place;
        self.place.conditional = true;
        self.place.in_bodies &= is_body;
        self.visit_body(suite);
        self.place = before;
    }
}

/// `_case_is_irrefutable` in coverage.py 7.17's `parser.py`: a wildcard or a name, perhaps as the last alternative.
fn always_matches(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::MatchOr(or) => or.patterns.last().is_some_and(always_matches),
        Pattern::MatchAs(part) => part.pattern.as_deref().is_none_or(always_matches_inside_as),
        _ => false,
    }
}

/// Inside `… as name` it looks for a wildcard, not into alternatives.
fn always_matches_inside_as(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::MatchAs(part) => part.pattern.as_deref().is_none_or(always_matches_inside_as),
        _ => false,
    }
}

/// What the last part of a decorator's name says about a function.
fn trait_of(decorator: &Expr) -> Option<SymbolTrait> {
    let called = decorator.as_call_expr().map_or(decorator, |call| &call.func);
    let last = match called {
        Expr::Name(name) => name.id.as_str(),
        Expr::Attribute(attribute) => attribute.attr.as_str(),
        _ => return None,
    };
    match last {
        "property" | "cached_property" | "abstractproperty" | "setter" | "getter" | "deleter" => {
            Some(SymbolTrait::Property)
        }
        "overload" => Some(SymbolTrait::Overload),
        "staticmethod" => Some(SymbolTrait::StaticMethod),
        "classmethod" => Some(SymbolTrait::ClassMethod),
        "abstractmethod" => Some(SymbolTrait::Abstract),
        _ => None,
    }
}

impl StatementVisitor<'_> for Collector<'_> {
    fn visit_stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::FunctionDef(def) => {
                let in_class = self.found.list[self.scope].kind == SymbolKind::Class;
                self.enter(&Parts {
                    name: &def.name,
                    kind: if in_class { SymbolKind::Method } else { SymbolKind::Function },
                    is_async: def.is_async,
                    decorators: &def.decorator_list,
                    range: def.range,
                    body: &def.body,
                });
            }
            Stmt::ClassDef(class) => self.enter(&Parts {
                name: &class.name,
                kind: SymbolKind::Class,
                is_async: false,
                decorators: &class.decorator_list,
                range: class.range,
                body: &class.body,
            }),
            Stmt::If(branch) => {
                self.part(&branch.body, true);
                for clause in &branch.elif_else_clauses {
                    self.part(&clause.body, false);
                }
            }
            Stmt::For(repeat) => {
                self.repeated(&repeat.body);
                self.part(&repeat.orelse, false);
            }
            Stmt::While(repeat) => {
                self.repeated(&repeat.body);
                self.part(&repeat.orelse, false);
            }
            Stmt::With(with) => self.part(&with.body, true),
            Stmt::Try(attempt) => {
                self.part(&attempt.body, true);
                let handlers = self.found.regions.0.len();
                for handler in &attempt.handlers {
                    let ExceptHandler::ExceptHandler(handler) = handler;
                    self.part(&handler.body, false);
                }
                let rest = self.found.regions.0.len();
                self.part(&attempt.orelse, false);
                self.part(&attempt.finalbody, false);
                self.found.regions.handlers_last(handlers, rest);
            }
            Stmt::Match(choice) => {
                for case in &choice.cases {
                    if case.guard.is_none() && always_matches(&case.pattern) {
                        let lines =
                            |range: TextRange| (self.lines.line(range.start()), self.lines.line(range.end()));
                        let (pattern, last) =
                            (lines(case.pattern.range()), self.lines.line(case.range.end()));
                        let body = self.body_lines(&case.body, last);
                        self.found.catch_alls.push(CatchAll { pattern, body });
                    }
                    self.part(&case.body, false);
                }
            }
            Stmt::ImportFrom(import)
                if (self.place.conditional || self.scope != Definitions::MODULE)
                    && future::is_future(import) =>
            {
                self.refuse(stmt, "from __future__ imports must occur at the beginning of the file");
            }
            Stmt::Return(_) => {
                if matches!(self.found.list[self.scope].kind, SymbolKind::Module | SymbolKind::Class) {
                    self.refuse(stmt, "'return' outside function");
                }
            }
            Stmt::Break(_) if !self.place.in_loop => self.refuse(stmt, "'break' outside loop"),
            Stmt::Continue(_) if !self.place.in_loop => self.refuse(stmt, "'continue' not properly in loop"),
            _ => {}
        }
    }
}

/// Collects what a body declares `global`, nested definitions apart.
struct Globals(BTreeSet<String>);

impl Globals {
    fn of(body: &Suite) -> BTreeSet<String> {
        let mut globals = Self(BTreeSet::new());
        walk_body(&mut globals, body);
        globals.0
    }
}

impl StatementVisitor<'_> for Globals {
    fn visit_stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Global(global) => self.0.extend(global.names.iter().map(|name| name.as_str().to_owned())),
            Stmt::FunctionDef(_) | Stmt::ClassDef(_) => {}
            _ => walk_stmt(self, stmt),
        }
    }
}
