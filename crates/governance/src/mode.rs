//! Whether a limit, a quota or a budget has a say.

use crate::field::{FieldValue, Problem, word};

/// What a refusal does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The request is refused.
    #[default]
    Enforce,
    /// It is counted, and the request passes as if nobody had refused.
    Shadow,
}

impl Mode {
    /// The words that users write.
    pub const WORDS: [&'static str; 2] = ["enforce", "shadow"];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }

    /// The mode that a field says.
    pub(crate) fn of_field(value: FieldValue<'_>) -> Result<Self, Problem> {
        let is_shadow = word(value, &Self::WORDS)? == Self::Shadow.word();
        Ok(if is_shadow { Self::Shadow } else { Self::Enforce })
    }
}
