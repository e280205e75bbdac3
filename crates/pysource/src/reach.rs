//! Which statements CPython compiles to bytecode, and in whose code object.
//!
//! coverage.py takes statements from the line table of compiled code. The compiler leaves out what it can prove
//! unreachable and what needs no instruction; this walk follows it statement by statement. Measured on
//! CPython 3.12.1 and 3.13.0, which agree here.

use playtrace_model::{LineBits, SymbolKind};
use ruff_python_ast::{
    ExceptHandler, Expr, Identifier, Stmt, StmtAnnAssign, StmtIf, StmtMatch, StmtTry, Suite,
};
use ruff_text_size::{Ranged as _, TextSize};

use crate::PythonVersion;
use crate::constant::{Outcomes, outcomes};
use crate::layout::{FirstLines, Layout};
use crate::symbols::Definitions;

/// The lines with bytecode of each definition's own body, by index in [`Definitions::list`], folded to first lines.
pub(crate) fn code_lines(
    body: &Suite,
    layout: &Layout,
    definitions: &Definitions,
    python: PythonVersion,
) -> Vec<LineBits> {
    let mut walk = Walk {
        first_lines: layout.first_lines(),
        definitions,
        lines: definitions.list.iter().map(|definition| LineBits::with_room(definition.span.1)).collect(),
        scope: Definitions::MODULE,
        last: Definitions::MODULE,
        loops: Vec::new(),
        future_annotations: has_future_annotations(body),
        python,
    };
    walk.block(without_docstring(body));
    walk.lines
}

fn has_future_annotations(body: &Suite) -> bool {
    body.iter().any(|stmt| {
        matches!(stmt, Stmt::ImportFrom(import)
            if import.module.as_ref().is_some_and(|module| module.as_str() == "__future__")
                && import.names.iter().any(|alias| alias.name.as_str() == "annotations"))
    })
}

/// A docstring has no code of its own in a function, and its lines count nowhere.
fn without_docstring(body: &[Stmt]) -> &[Stmt] {
    match body {
        [Stmt::Expr(first), rest @ ..] if first.value.is_string_literal_expr() => rest,
        _ => body,
    }
}

/// Whether control can come out at the end of what was walked.
type Completes = bool;

struct Walk<'a> {
    first_lines: FirstLines<'a>,
    definitions: &'a Definitions,
    lines: Vec<LineBits>,
    scope: usize,
    /// The definition that was entered last: most often the next one comes next.
    last: usize,
    /// For each loop that we are in: whether a reachable `break` leaves it.
    loops: Vec<bool>,
    future_annotations: bool,
    python: PythonVersion,
}

impl Walk<'_> {
    fn outcomes(&self, test: &Expr) -> Outcomes {
        outcomes(test, self.python)
    }

    fn emit(&mut self, at: TextSize) {
        let line = self.first_lines.of(at);
        self.lines[self.scope].insert(line);
    }

    /// Walks statements until one does not complete: the rest is dead and compiles to nothing.
    fn block(&mut self, body: &[Stmt]) -> Completes {
        body.iter().all(|stmt| self.statement(stmt))
    }

    fn statement(&mut self, stmt: &Stmt) -> Completes {
        match stmt {
            // Declarations are for the symbol table.
            Stmt::Global(_) | Stmt::Nonlocal(_) => true,
            Stmt::AnnAssign(assign) => {
                if self.annotated_assignment_has_code(assign) {
                    self.emit(stmt.start());
                }
                true
            }
            Stmt::Delete(delete) => {
                if delete.targets.iter().any(target_has_code) {
                    self.emit(stmt.start());
                }
                true
            }
            Stmt::Return(_) | Stmt::Raise(_) | Stmt::Continue(_) => {
                self.emit(stmt.start());
                false
            }
            Stmt::Break(_) => {
                self.emit(stmt.start());
                if let Some(broken) = self.loops.last_mut() {
                    *broken = true;
                }
                false
            }
            Stmt::Assert(assert) => {
                self.emit(stmt.start());
                self.outcomes(&assert.test).truth
            }
            Stmt::If(branch) => self.branch(branch),
            Stmt::While(repeat) => {
                self.emit(stmt.start());
                let test = self.outcomes(&repeat.test);
                self.repeat(test.truth.then_some(&repeat.body), test.falsehood.then_some(&repeat.orelse))
            }
            Stmt::For(repeat) => {
                self.emit(stmt.start());
                self.repeat(Some(&repeat.body), Some(&repeat.orelse))
            }
            Stmt::With(with) => {
                self.emit(stmt.start());
                self.block(&with.body);
                // The context manager may swallow whatever the body raises.
                true
            }
            Stmt::Match(choice) => self.choice(choice),
            Stmt::Try(attempt) => self.attempt(attempt),
            Stmt::FunctionDef(def) => {
                for decorator in &def.decorator_list {
                    self.emit(decorator.expression.start());
                }
                self.emit(def.name.start());
                self.definition(&def.name, &def.body);
                true
            }
            Stmt::ClassDef(class) => {
                for decorator in &class.decorator_list {
                    self.emit(decorator.expression.start());
                }
                self.emit(class.name.start());
                self.definition(&class.name, &class.body);
                true
            }
            _ => {
                self.emit(stmt.start());
                true
            }
        }
    }

    fn definition(&mut self, name: &Identifier, body: &Suite) {
        let Some(index) = self.definitions.index_near(self.last + 1, name) else { return };
        self.last = index;
        let outer = std::mem::replace(&mut self.scope, index);
        let loops = std::mem::take(&mut self.loops);
        self.block(without_docstring(body));
        self.loops = loops;
        self.scope = outer;
    }

    fn branch(&mut self, branch: &StmtIf) -> Completes {
        self.emit(branch.start());
        let test = self.outcomes(&branch.test);
        let mut completes = test.truth && self.block(&branch.body);
        let mut goes_on = test.falsehood;
        for clause in &branch.elif_else_clauses {
            if !goes_on {
                break;
            }
            let (taken, skipped) = match &clause.test {
                Some(test) => {
                    self.emit(clause.start());
                    let test = self.outcomes(test);
                    (test.truth, test.falsehood)
                }
                None => (true, false),
            };
            completes |= taken && self.block(&clause.body);
            goes_on = skipped;
        }
        completes || goes_on
    }

    /// A loop with the parts of it that can run.
    fn repeat(&mut self, body: Option<&Suite>, orelse: Option<&Suite>) -> Completes {
        self.loops.push(false);
        if let Some(body) = body {
            self.block(body);
        }
        let broken = self.loops.pop().unwrap_or(false);
        let ends = orelse.is_some_and(|orelse| self.block(orelse));
        ends || broken
    }

    fn choice(&mut self, choice: &StmtMatch) -> Completes {
        self.emit(choice.start());
        let mut completes = false;
        for case in &choice.cases {
            self.emit(case.pattern.start());
            let guard = case.guard.as_deref().map(|guard| self.outcomes(guard));
            if guard.is_none_or(|guard| guard.truth) {
                completes |= self.block(&case.body);
            }
            if case.pattern.is_irrefutable() && guard.is_none_or(|guard| !guard.falsehood) {
                return completes;
            }
        }
        true
    }

    fn attempt(&mut self, attempt: &StmtTry) -> Completes {
        self.emit(attempt.start());
        let breaks_before = self.loops.last().copied();
        let mut completes = self.block(&attempt.body) && self.block(&attempt.orelse);
        for handler in &attempt.handlers {
            let ExceptHandler::ExceptHandler(handler) = handler;
            self.emit(handler.start());
            completes |= self.block(&handler.body);
        }
        if attempt.finalbody.is_empty() {
            return completes;
        }
        let breaks_inside = self.loops.last().copied();
        let finishes = self.block(&attempt.finalbody);
        if !finishes && breaks_inside != breaks_before {
            // The `break` inside goes through a `finally` that never ends, so it does not leave the loop; a `break`
            // of the `finally` itself does.
            self.restore_break(breaks_before, &attempt.finalbody);
        }
        completes && finishes
    }

    fn restore_break(&mut self, before: Option<bool>, finalbody: &Suite) {
        if let (Some(broken), Some(before)) = (self.loops.last_mut(), before) {
            *broken = before;
        }
        self.block(finalbody);
    }

    fn annotated_assignment_has_code(&self, assign: &StmtAnnAssign) -> bool {
        let evaluated =
            matches!(self.definitions.list[self.scope].kind, SymbolKind::Module | SymbolKind::Class);
        match &*assign.target {
            _ if assign.value.is_some() => true,
            Expr::Name(_) if assign.simple => evaluated,
            Expr::Name(_) => evaluated && !self.future_annotations,
            // `self.x: int` evaluates `self`, whatever becomes of the annotation.
            _ => true,
        }
    }
}

/// `del ()` deletes nothing.
fn target_has_code(target: &Expr) -> bool {
    match target {
        Expr::Tuple(tuple) => tuple.elts.iter().any(target_has_code),
        Expr::List(list) => list.elts.iter().any(target_has_code),
        _ => true,
    }
}
