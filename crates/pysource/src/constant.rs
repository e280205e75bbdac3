//! Which way a condition can go, as far as CPython's compiler knows.

use ruff_python_ast::{BoolOp, Expr, FStringPart, Number, UnaryOp};

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
pub(crate) fn outcomes(test: &Expr) -> Outcomes {
    match test {
        Expr::UnaryOp(unary) if unary.op == UnaryOp::Not => {
            let inner = outcomes(&unary.operand);
            Outcomes { truth: inner.falsehood, falsehood: inner.truth }
        }
        Expr::BoolOp(operation) => {
            // `a and b`: b is tried where a is true; falsehood is final. `or` is the mirror image.
            let mirror = operation.op == BoolOp::Or;
            let (mut goes_on, mut decided) = (true, false);
            for value in &operation.values {
                if goes_on {
                    let part = outcomes(value);
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
            let test = outcomes(&choice.test);
            let body = if test.truth { Some(outcomes(&choice.body)) } else { None };
            let orelse = if test.falsehood { Some(outcomes(&choice.orelse)) } else { None };
            let ways = [body, orelse];
            Outcomes {
                truth: ways.iter().flatten().any(|way| way.truth),
                falsehood: ways.iter().flatten().any(|way| way.falsehood),
            }
        }
        _ => constant_truth(test).map_or(Outcomes::EITHER, Outcomes::only),
    }
}

/// The truth of an expression that CPython folds to a constant; arithmetic between constants is not followed,
/// because nobody writes it as a condition.
fn constant_truth(expr: &Expr) -> Option<bool> {
    match expr {
        Expr::BooleanLiteral(literal) => Some(literal.value),
        Expr::NoneLiteral(_) => Some(false),
        Expr::EllipsisLiteral(_) => Some(true),
        Expr::NumberLiteral(literal) => Some(match &literal.value {
            // A literal too big for 64 bits is not zero.
            Number::Int(int) => int.as_u64() != Some(0),
            Number::Float(float) => *float != 0.0,
            Number::Complex { real, imag } => *real != 0.0 || *imag != 0.0,
        }),
        Expr::StringLiteral(literal) => Some(!literal.value.is_empty()),
        Expr::BytesLiteral(literal) => Some(!literal.value.is_empty()),
        // Without placeholders it is a plain string to the compiler.
        Expr::FString(string) => {
            let literal = |part: &FStringPart| match part {
                FStringPart::Literal(literal) => Some(!literal.value.is_empty()),
                FStringPart::FString(part) => part.elements.iter().try_fold(false, |any, element| {
                    element.as_literal().map(|literal| any | !literal.value.is_empty())
                }),
            };
            string.value.iter().try_fold(false, |any, part| literal(part).map(|more| any | more))
        }
        Expr::Name(name) if name.id.as_str() == "__debug__" => Some(true),
        Expr::Tuple(tuple) => tuple
            .elts
            .iter()
            .all(|element| constant_truth(element).is_some())
            .then_some(!tuple.elts.is_empty()),
        Expr::UnaryOp(unary) => match unary.op {
            UnaryOp::Not => constant_truth(&unary.operand).map(|truth| !truth),
            UnaryOp::UAdd | UnaryOp::USub if unary.operand.is_number_literal_expr() => {
                constant_truth(&unary.operand)
            }
            // `~x` is zero for x = -1 alone, which is itself an operation.
            UnaryOp::Invert if unary.operand.is_number_literal_expr() => Some(true),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(source: &str) -> (bool, bool) {
        let parsed = ruff_python_parser::parse_expression(source).unwrap();
        let found = outcomes(parsed.expr());
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
            ("f'' f''", (false, true)),
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
