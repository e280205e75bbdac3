//! The definitions of a file: classes, functions, methods, nested ones, with CPython's `__qualname__`.

use std::collections::{BTreeMap, BTreeSet};

use playtrace_model::SymbolKind;
use ruff_python_ast::statement_visitor::{StatementVisitor, walk_body, walk_stmt};
use ruff_python_ast::{Decorator, Identifier, Stmt, Suite};
use ruff_text_size::{Ranged, TextRange, TextSize};

use crate::SourceText;

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
}

/// All definitions of a file, the module first, then in source order.
#[derive(Debug, Clone)]
pub(crate) struct Definitions {
    pub(crate) list: Vec<Definition>,
    /// Index into `list` by the offset of the definition's name.
    by_name_offset: BTreeMap<TextSize, usize>,
    /// Line ranges of docstrings.
    pub(crate) docstrings: Vec<(u32, u32)>,
}

impl Definitions {
    /// The module's index.
    pub(crate) const MODULE: usize = 0;

    pub(crate) fn of(body: &Suite, text: &SourceText) -> Self {
        let module = Definition {
            qualname: String::new(),
            kind: SymbolKind::Module,
            line: 1,
            span: (1, text.line_count().max(1)),
            at_import: true,
        };
        let mut found = Self { list: vec![module], by_name_offset: BTreeMap::new(), docstrings: Vec::new() };
        found.note_docstring(body, text);
        let globals = Globals::of(body);
        let mut collector = Collector { found: &mut found, text, scope: Self::MODULE, globals };
        collector.visit_body(body);
        found
    }

    /// The definition whose name stands at `name`.
    pub(crate) fn index(&self, name: &Identifier) -> Option<usize> {
        self.by_name_offset.get(&name.start()).copied()
    }

    fn note_docstring(&mut self, body: &Suite, text: &SourceText) {
        if let Some(Stmt::Expr(first)) = body.first()
            && first.value.is_string_literal_expr()
        {
            self.docstrings.push((text.line(first.start()), text.line(first.end())));
        }
    }
}

struct Collector<'a> {
    found: &'a mut Definitions,
    text: &'a SourceText,
    /// The definition that we are in.
    scope: usize,
    /// The names that it declares `global`.
    globals: BTreeSet<String>,
}

impl Collector<'_> {
    fn enter(
        &mut self,
        name: &Identifier,
        kind: SymbolKind,
        decorators: &[Decorator],
        range: TextRange,
        body: &Suite,
    ) {
        let parent = &self.found.list[self.scope];
        let line = self.text.line(name.start());
        let first = decorators.iter().map(|decorator| self.text.line(decorator.expression.start())).min();
        let definition = Definition {
            qualname: self.qualname(parent, name.as_str()),
            kind,
            line,
            span: (first.map_or(line, |first| first.min(line)), self.text.line(range.end())),
            at_import: kind == SymbolKind::Class && parent.at_import,
        };
        let index = self.found.list.len();
        self.found.list.push(definition);
        self.found.by_name_offset.insert(name.start(), index);
        self.found.note_docstring(body, self.text);
        let globals = Globals::of(body);
        let mut inner = Collector { found: self.found, text: self.text, scope: index, globals };
        inner.visit_body(body);
    }

    /// PEP 3155, as `compiler_set_qualname` applies it: a name that the parent declares global stands alone.
    fn qualname(&self, parent: &Definition, name: &str) -> String {
        let base = match parent.kind {
            _ if self.globals.contains(name) => return name.to_owned(),
            SymbolKind::Module => return name.to_owned(),
            SymbolKind::Class => &parent.qualname,
            SymbolKind::Function | SymbolKind::Method => &format!("{}.<locals>", parent.qualname),
        };
        format!("{base}.{name}")
    }
}

impl StatementVisitor<'_> for Collector<'_> {
    fn visit_stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::FunctionDef(def) => {
                let in_class = self.found.list[self.scope].kind == SymbolKind::Class;
                let kind = if in_class { SymbolKind::Method } else { SymbolKind::Function };
                self.enter(&def.name, kind, &def.decorator_list, def.range, &def.body);
            }
            Stmt::ClassDef(class) => {
                self.enter(&class.name, SymbolKind::Class, &class.decorator_list, class.range, &class.body);
            }
            _ => walk_stmt(self, stmt),
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
