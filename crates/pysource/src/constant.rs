//! Which way a condition can go, as far as CPython's compiler knows.

use ruff_python_ast::{BoolOp, Expr, UnaryOp};

use crate::PythonVersion;
use crate::fold::{constant, plain_f_string};

/// The outcomes that a condition can have when the code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) truth: bool,
    pub(crate) falsehood: bool,
}

impl Outcomes {
    const EITHER: Self = Self { truth: true, falsehood: true };

    const fn only(truth: bool) -> Self {
        Self { truth, falsehood: !truth }
    }
}

/// What the jumps compiled for `test` can do, following `codegen_jump_if`: `and`, `or`, `not` and conditional
/// expressions become jumps of their parts, and a jump on a constant is decided at compile time.
pub(crate) fn outcomes(test: &Expr, python: PythonVersion) -> Outcomes {
    match test {
        Expr::UnaryOp(unary) if unary.op == UnaryOp::Not => {
            let inner = outcomes(&unary.operand, python);
            Outcomes { truth: inner.falsehood, falsehood: inner.truth }
        }
        Expr::BoolOp(operation) => {
            // `a and b`: b is tried where a is true; falsehood is final. `or` is the mirror image.
            let mirror = operation.op == BoolOp::Or;
            let (mut goes_on, mut decided) = (true, false);
            for value in &operation.values {
                if goes_on {
                    let part = outcomes(value, python);
                    let (next, last) =
                        if mirror { (part.falsehood, part.truth) } else { (part.truth, part.falsehood) };
                    goes_on = next;
                    decided |= last;
                }
            }
            if mirror {
                Outcomes { truth: decided, falsehood: goes_on }
            } else {
                Outcomes { truth: goes_on, falsehood: decided }
            }
        }
        Expr::If(choice) => {
            let test = outcomes(&choice.test, python);
            let body = if test.truth { Some(outcomes(&choice.body, python)) } else { None };
            let orelse = if test.falsehood { Some(outcomes(&choice.orelse, python)) } else { None };
            let ways = [body, orelse];
            Outcomes {
                truth: ways.iter().flatten().any(|way| way.truth),
                falsehood: ways.iter().flatten().any(|way| way.falsehood),
            }
        }
        _ => constant(test)
            .or_else(|| plain_f_string(test, python))
            .map_or(Outcomes::EITHER, |value| Outcomes::only(value.truth())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(source: &str) -> (bool, bool) {
        let parsed = ruff_python_parser::parse_expression(source).unwrap();
        let found = outcomes(parsed.expr(), PythonVersion::V3_12);
        (found.truth, found.falsehood)
    }

    #[test]
    fn constants_and_their_combinations() {
        for (source, expected) in [
            ("x", (true, true)),
            ("1", (true, false)),
            ("0", (false, true)),
            ("''", (false, true)),
            ("()", (false, true)),
            ("f'a'", (true, false)),
            ("f''", (true, true)),
            ("1 - 1", (false, true)),
            ("'a' * 2", (true, false)),
            ("'a' * 0", (false, true)),
            ("(1, 0)[-1]", (false, true)),
            ("7 // 2 - 3", (false, true)),
            ("-7 % 7", (false, true)),
            ("1 << 127", (true, false)),
            ("2 ** 1000", (true, true)),
            ("1 / 0", (true, true)),
            ("0.5 - 0.5", (false, true)),
            ("~-1", (false, true)),
            ("1 < 2", (true, true)),
            ("f'a{x}'", (true, true)),
            ("(1, x)", (true, true)),
            ("__debug__", (true, false)),
            ("not 0", (true, false)),
            ("x and 0", (false, true)),
            ("0 and x", (false, true)),
            ("x or 1", (true, false)),
            ("x or 0", (true, true)),
            ("1 if x else 0", (true, true)),
            ("1 if x else 2", (true, false)),
            ("x if 0 else 0", (false, true)),
        ] {
            assert_eq!(ways(source), expected, "{source}");
        }
    }
}
