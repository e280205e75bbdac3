//! Lines or branches: a data file has one of them.

/// What data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// It doesn't say, and has neither.
    #[default]
    Nothing,
    Lines,
    Branches,
}

impl Kind {
    /// What both are together; `None` if they don't go together.
    pub(super) fn with(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Lines, Self::Branches) | (Self::Branches, Self::Lines) => None,
            (Self::Nothing, kind) | (kind, _) => Some(kind),
        }
    }

    /// As a data file says it.
    pub(super) fn has_arcs(self) -> Option<bool> {
        match self {
            Self::Nothing => None,
            Self::Lines => Some(false),
            Self::Branches => Some(true),
        }
    }
}

impl From<Option<bool>> for Kind {
    fn from(has_arcs: Option<bool>) -> Self {
        match has_arcs {
            None => Self::Nothing,
            Some(false) => Self::Lines,
            Some(true) => Self::Branches,
        }
    }
}
