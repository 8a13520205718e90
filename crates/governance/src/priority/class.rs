//! The five classes of urgency, and how much of the service each is promised.

use crate::field::{FieldValue, Problem, SpecError, amount, word};
use crate::request::RequestPriority;
use core::fmt;

/// The largest weight of a class or of a tenant.
pub const WEIGHT_MAX: u32 = 1024;
/// The weights of the classes, most urgent first, where nobody has set others.
pub const DEFAULT_WEIGHTS: [u32; RequestPriority::COUNT] = [16, 8, 4, 2, 1];

impl RequestPriority {
    /// Every class, most urgent first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Normal, Self::Low, Self::Batch];
    /// How many classes there are.
    pub const COUNT: usize = Self::ALL.len();
    /// The words that users write, most urgent first.
    pub const WORDS: [&'static str; 5] = ["critical", "high", "normal", "low", "batch"];

    /// The class's place in [`RequestPriority::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        Self::WORDS[self.index()]
    }

    /// The class that `word` stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.word() == word)
    }
}

impl fmt::Display for RequestPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What one class weighs against the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassWeight {
    /// The class.
    pub class: RequestPriority,
    /// Its weight, 1 to [`WEIGHT_MAX`].
    pub weight: u32,
}

/// Writes a weight as an element of `[[class]]`, in the words that read back to it.
impl fmt::Display for ClassWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[class]]\nname = \"{}\"\nweight = {}", self.class, self.weight)
    }
}

/// The fields of a class, as users write them.
pub const CLASS_FIELDS: [&str; 2] = ["name", "weight"];

/// The fields of a class as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClassDraft {
    class: Option<RequestPriority>,
    weight: Option<u32>,
}

impl ClassDraft {
    /// Sets one field, or says what is wrong with its value and leaves the draft as it was.
    ///
    /// # Errors
    /// [`SpecError`] names the field and what was expected.
    pub fn set(&mut self, field: &str, value: FieldValue<'_>) -> Result<(), SpecError> {
        let Some(field) = CLASS_FIELDS.into_iter().find(|&known| known == field) else {
            return Err(SpecError { field: "class", problem: Problem::Unknown(&CLASS_FIELDS) });
        };
        let refuse = |problem| SpecError { field, problem };
        if field == "name" {
            self.class = RequestPriority::from_word(word(value, &RequestPriority::WORDS).map_err(refuse)?);
        } else {
            let weight = u32::try_from(amount(value).map_err(refuse)?).unwrap_or(u32::MAX);
            check_weight(weight)?;
            self.weight = Some(weight);
        }
        Ok(())
    }

    /// The finished class.
    ///
    /// # Errors
    /// [`SpecError`] if a field is missing.
    pub fn finish(&self) -> Result<ClassWeight, SpecError> {
        let missing = |field| SpecError { field, problem: Problem::Missing };
        let class = self.class.ok_or(missing("name"))?;
        Ok(ClassWeight { class, weight: self.weight.ok_or(missing("weight"))? })
    }

    /// Calls `each` with everything that keeps the draft from being a class.
    pub fn each_problem(&self, mut each: impl FnMut(SpecError)) {
        for (field, is_missing) in [("name", self.class.is_none()), ("weight", self.weight.is_none())] {
            if is_missing {
                each(SpecError { field, problem: Problem::Missing });
            }
        }
    }
}

/// Whether a weight is 1 to [`WEIGHT_MAX`].
pub(super) fn check_weight(weight: u32) -> Result<(), SpecError> {
    let problem = match weight {
        0 => Problem::Zero,
        1..=WEIGHT_MAX => return Ok(()),
        _ => Problem::AboveMaximum(WEIGHT_MAX.into()),
    };
    Err(SpecError { field: "weight", problem })
}

#[cfg(test)]
mod tests {
    use super::{ClassDraft, RequestPriority, check_weight};
    use crate::field::FieldValue;

    #[test]
    fn classes_print_what_reads_back_to_them() {
        for class in RequestPriority::ALL {
            assert_eq!(RequestPriority::from_word(class.word()), Some(class));
            let mut draft = ClassDraft::default();
            draft.set("name", FieldValue::Text(class.word())).unwrap();
            assert_eq!(draft.finish().unwrap_err().to_string(), "weight: missing");
            draft.set("weight", FieldValue::Integer(7)).unwrap();
            let shown = draft.finish().unwrap().to_string();
            assert_eq!(shown, format!("[[class]]\nname = \"{class}\"\nweight = 7\n"));
        }
    }

    #[test]
    fn a_weight_is_from_1_to_1024() {
        assert!(check_weight(1).is_ok() && check_weight(1024).is_ok());
        assert!(check_weight(0).is_err() && check_weight(1025).is_err());
        let mut draft = ClassDraft::default();
        for weight in [0, -1, 1025, i64::MAX] {
            let problem = draft.set("weight", FieldValue::Integer(weight)).unwrap_err();
            assert_eq!(problem.field, "weight", "{weight}");
        }
        assert_eq!(draft.set("size", FieldValue::Integer(1)).unwrap_err().field, "class");
        let mut missing = 0;
        draft.each_problem(|_| missing += 1);
        assert_eq!(missing, 2);
    }
}
