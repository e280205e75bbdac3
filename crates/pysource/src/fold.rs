//! Constant folding, as far as CPython's optimizer of syntax trees goes (`ast_opt.c` in 3.12 and 3.13).
//!
//! Only whether a value is true matters in the end; the values themselves are followed because `1 - 1` is not.

use ruff_python_ast::{Expr, FStringPart, Number, Operator, UnaryOp};

use crate::PythonVersion;

/// Limits beyond which CPython leaves an operation to run time (`MAX_INT_SIZE` and its kin).
const MAX_INT_BITS: u32 = 128;
const MAX_COLLECTION: usize = 256;
const MAX_TEXT: usize = 4096;

/// A value known at compile time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constant {
    None,
    Ellipsis,
    Bool(bool),
    Int(i128),
    /// An integer that 128 bits don't hold: not zero.
    Large,
    Float(f64),
    Complex(f64, f64),
    Text(String),
    Bytes(Vec<u8>),
    Tuple(Vec<Self>),
}

impl Constant {
    /// Python's `bool(…)`.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::None => false,
            Self::Ellipsis | Self::Large => true,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::Tuple(items) => !items.is_empty(),
        }
    }

    fn integer(&self) -> Option<i128> {
        match self {
            Self::Bool(value) => Some(i128::from(*value)),
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "as Python converts an int for an operation with a float")]
    fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            _ => self.integer().map(|value| value as f64),
        }
    }
}

/// The value of an expression that the compiler knows.
pub(crate) fn constant(expr: &Expr) -> Option<Constant> {
    Some(match expr {
        Expr::BooleanLiteral(literal) => Constant::Bool(literal.value),
        Expr::NoneLiteral(_) => Constant::None,
        Expr::EllipsisLiteral(_) => Constant::Ellipsis,
        Expr::NumberLiteral(literal) => match &literal.value {
            Number::Int(int) => {
                int.as_u64().map_or(Constant::Large, |value| Constant::Int(i128::from(value)))
            }
            Number::Float(float) => Constant::Float(*float),
            Number::Complex { real, imag } => Constant::Complex(*real, *imag),
        },
        Expr::StringLiteral(literal) => Constant::Text(literal.value.to_str().to_owned()),
        Expr::BytesLiteral(literal) => Constant::Bytes(literal.value.bytes().collect()),
        Expr::Name(name) if name.id.as_str() == "__debug__" => Constant::Bool(true),
        Expr::Tuple(tuple) => Constant::Tuple(tuple.elts.iter().map(constant).collect::<Option<_>>()?),
        Expr::UnaryOp(unary) => unary_operation(unary.op, &constant(&unary.operand)?)?,
        Expr::BinOp(operation) => {
            binary_operation(operation.op, &constant(&operation.left)?, &constant(&operation.right)?)?
        }
        Expr::Subscript(subscript) => item(&constant(&subscript.value)?, &constant(&subscript.slice)?)?,
        _ => return None,
    })
}

/// The text of an f-string without placeholders, which is a plain constant once it is compiled; one without anything
/// only since 3.13.
pub(crate) fn plain_f_string(expr: &Expr, python: PythonVersion) -> Option<Constant> {
    let Expr::FString(string) = expr else { return None };
    let mut text = String::new();
    for part in &string.value {
        match part {
            FStringPart::Literal(literal) => text.push_str(&literal.value),
            FStringPart::FString(part) => {
                for element in &part.elements {
                    text.push_str(&element.as_literal()?.value);
                }
            }
        }
    }
    (!text.is_empty() || python >= PythonVersion::V3_13).then_some(Constant::Text(text))
}

fn unary_operation(op: UnaryOp, operand: &Constant) -> Option<Constant> {
    Some(match (op, operand) {
        (UnaryOp::Not, operand) => Constant::Bool(!operand.truth()),
        (UnaryOp::UAdd | UnaryOp::USub | UnaryOp::Invert, Constant::Large) => Constant::Large,
        (UnaryOp::USub, Constant::Float(value)) => Constant::Float(-value),
        (UnaryOp::USub, Constant::Complex(real, imaginary)) => Constant::Complex(-real, -imaginary),
        (UnaryOp::UAdd, Constant::Float(_) | Constant::Complex(..)) => operand.clone(),
        (UnaryOp::UAdd, operand) => Constant::Int(operand.integer()?),
        (UnaryOp::USub, operand) => Constant::Int(operand.integer()?.checked_neg()?),
        (UnaryOp::Invert, operand) => Constant::Int(!operand.integer()?),
    })
}

fn binary_operation(op: Operator, left: &Constant, right: &Constant) -> Option<Constant> {
    if let (Some(a), Some(b)) = (left.integer(), right.integer()) {
        return integers(op, a, b);
    }
    match (op, left, right) {
        (Operator::Add, Constant::Text(a), Constant::Text(b)) => Some(Constant::Text(format!("{a}{b}"))),
        (Operator::Add, Constant::Bytes(a), Constant::Bytes(b)) => {
            Some(Constant::Bytes([a.as_slice(), b].concat()))
        }
        (Operator::Add, Constant::Tuple(a), Constant::Tuple(b)) => {
            Some(Constant::Tuple([a.as_slice(), b].concat()))
        }
        (Operator::Mult, sequence, count) if count.integer().is_some() => {
            repeated(sequence, count.integer()?)
        }
        (Operator::Mult, count, sequence) if count.integer().is_some() => {
            repeated(sequence, count.integer()?)
        }
        _ => floats(op, left.float()?, right.float()?),
    }
}

fn integers(op: Operator, a: i128, b: i128) -> Option<Constant> {
    // What 128 bits don't hold is not zero, whatever it is.
    let sized = |value: Option<i128>| Some(value.map_or(Constant::Large, Constant::Int));
    let bits = |value: i128| 128 - value.unsigned_abs().leading_zeros();
    match op {
        Operator::Add => sized(a.checked_add(b)),
        Operator::Sub => sized(a.checked_sub(b)),
        Operator::Mult if a == 0 || b == 0 => Some(Constant::Int(0)),
        Operator::Mult => (bits(a) + bits(b) <= MAX_INT_BITS).then(|| sized(a.checked_mul(b)))?,
        Operator::Div if b != 0 => floats(op, Constant::Int(a).float()?, Constant::Int(b).float()?),
        Operator::FloorDiv if b != 0 => {
            let quotient = a.checked_div(b)?;
            let inexact = a.checked_rem(b)? != 0 && (a < 0) != (b < 0);
            Some(Constant::Int(quotient - i128::from(inexact)))
        }
        Operator::Mod if b != 0 => {
            let rest = a.checked_rem(b)?;
            Some(Constant::Int(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }))
        }
        Operator::Pow if b >= 0 && (a == 0 || b == 0) => Some(Constant::Int(i128::from(b == 0))),
        Operator::Pow if b > 0 => {
            let exponent = u32::try_from(b).ok()?;
            (bits(a).checked_mul(exponent)? <= MAX_INT_BITS).then(|| sized(a.checked_pow(exponent)))?
        }
        Operator::Pow => {
            (a != 0).then(|| floats(op, Constant::Int(a).float()?, Constant::Int(b).float()?))?
        }
        Operator::LShift if a == 0 && b >= 0 => Some(Constant::Int(0)),
        Operator::LShift => {
            let by =
                u32::try_from(b).ok().filter(|&by| by <= MAX_INT_BITS && bits(a) + by <= MAX_INT_BITS)?;
            sized(a.checked_mul(1_i128.checked_shl(by).unwrap_or(0)).filter(|&value| value != 0))
        }
        Operator::RShift => Some(Constant::Int(a >> u32::try_from(b).ok()?.min(127))),
        Operator::BitAnd => Some(Constant::Int(a & b)),
        Operator::BitOr => Some(Constant::Int(a | b)),
        Operator::BitXor => Some(Constant::Int(a ^ b)),
        Operator::Div | Operator::FloorDiv | Operator::Mod | Operator::MatMult => None,
    }
}

fn floats(op: Operator, a: f64, b: f64) -> Option<Constant> {
    let value = match op {
        Operator::Add => a + b,
        Operator::Sub => a - b,
        Operator::Mult => a * b,
        Operator::Div if b != 0.0 => a / b,
        Operator::FloorDiv if b != 0.0 => (a / b).floor(),
        Operator::Mod if b != 0.0 => a - b * (a / b).floor(),
        Operator::Pow if a > 0.0 => a.powf(b),
        _ => return None,
    };
    Some(Constant::Float(value))
}

fn repeated(sequence: &Constant, count: i128) -> Option<Constant> {
    let count = usize::try_from(count.max(0)).ok()?;
    let fits = |length: usize, limit: usize| length.checked_mul(count).is_some_and(|size| size <= limit);
    match sequence {
        Constant::Text(text) if fits(text.chars().count(), MAX_TEXT) => {
            Some(Constant::Text(text.repeat(count)))
        }
        Constant::Bytes(bytes) if fits(bytes.len(), MAX_TEXT) => Some(Constant::Bytes(bytes.repeat(count))),
        Constant::Tuple(items) if fits(items.len(), MAX_COLLECTION) => {
            Some(Constant::Tuple(std::iter::repeat_n(items.iter(), count).flatten().cloned().collect()))
        }
        _ => None,
    }
}

fn item(sequence: &Constant, index: &Constant) -> Option<Constant> {
    let index = index.integer()?;
    let place = |length: usize| {
        let from_end = if index < 0 { i128::try_from(length).ok()? } else { 0 };
        usize::try_from(index + from_end).ok().filter(|&at| at < length)
    };
    match sequence {
        Constant::Tuple(items) => items.get(place(items.len())?).cloned(),
        Constant::Text(text) => {
            let at = place(text.chars().count())?;
            text.chars().nth(at).map(|found| Constant::Text(found.to_string()))
        }
        Constant::Bytes(bytes) => Some(Constant::Int(i128::from(bytes[place(bytes.len())?]))),
        _ => None,
    }
}
