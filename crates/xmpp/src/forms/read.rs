//! Answers as values, and held against the form that was offered (XEP-0004 §4).
//!
//! Each reader gives none for a field that was omitted, which keeps its current value (§3.5). A
//! field that is there but blank (§3.6) is empty text or an empty list; where neither can be, it
//! counts as omitted. All errors are `not-acceptable` and name the field.

use std::collections::HashSet;

use super::{Field, FieldType, Form, not_acceptable};
use crate::{Jid, StanzaError};

impl Form {
    /// Every value of a field, blank ones too.
    #[must_use]
    pub fn values(&self, var: &str) -> Option<&[String]> {
        self.field(var).map(|field| field.values.as_slice())
    }

    /// Several lines of text as one, line feeds between.
    #[must_use]
    pub fn lines(&self, var: &str) -> Option<String> {
        self.values(var).map(|values| values.join("\n"))
    }

    /// A single text.
    ///
    /// # Errors
    /// For more than one value.
    pub fn text(&self, var: &str) -> Result<Option<&str>, StanzaError> {
        self.field(var).map(single).transpose()
    }

    /// Yes or no: `1`, `true`, `0` or `false`.
    ///
    /// # Errors
    /// For anything else.
    pub fn boolean(&self, var: &str) -> Result<Option<bool>, StanzaError> {
        self.choice(var, boolean)
    }

    /// A number, decimal and without a sign.
    ///
    /// # Errors
    /// For anything else, and for more than 64 bits.
    pub fn number(&self, var: &str) -> Result<Option<u64>, StanzaError> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        self.choice(var, |text| text.parse().ok().filter(|_| digits(text)))
    }

    /// One of the values that `read` knows.
    ///
    /// # Errors
    /// For a value that `read` does not know, and for more than one value.
    pub fn choice<T>(
        &self,
        var: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, StanzaError> {
        let Some(text) = self.text(var)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        read(text).map(Some).ok_or_else(|| invalid(var))
    }

    /// An address.
    ///
    /// # Errors
    /// For what is none, and for more than one value.
    pub fn jid(&self, var: &str) -> Result<Option<Jid>, StanzaError> {
        self.choice(var, |text| Jid::parse(text).ok())
    }

    /// Addresses; blank values and repetitions are left out (§3.3).
    ///
    /// # Errors
    /// For what is no address.
    pub fn jids(&self, var: &str) -> Result<Option<Vec<Jid>>, StanzaError> {
        let Some(values) = self.values(var) else {
            return Ok(None);
        };
        let mut seen = HashSet::new();
        let mut jids = Vec::new();
        for text in values.iter().filter(|text| !text.is_empty()) {
            let jid = Jid::parse(text).map_err(|_| invalid(var))?;
            if seen.insert(jid.clone()) {
                jids.push(jid);
            }
        }
        Ok(Some(jids))
    }

    /// Whether these answers answer that form: required fields are there, single fields have one
    /// value, values of lists are among the options, addresses and yes-or-no are such. Fields that
    /// the form did not offer do not matter (§3.1).
    ///
    /// # Errors
    /// `not-acceptable`, naming the first field that is wrong.
    pub fn check_against(&self, offered: &Self) -> Result<(), StanzaError> {
        for question in &offered.fields {
            match self.field(&question.var) {
                Some(answer) => check(question, answer)?,
                None if question.required => return Err(missing(&question.var)),
                None => {}
            }
        }
        Ok(())
    }
}

fn check(question: &Field, answer: &Field) -> Result<(), StanzaError> {
    let ty = question.ty.unwrap_or(FieldType::TextSingle);
    if answer.is_blank() {
        return if question.required { Err(missing(&question.var)) } else { Ok(()) };
    }
    if !ty.is_multi() {
        single(answer)?;
    }
    let good = |value: &String| match ty {
        FieldType::Boolean => boolean(value).is_some(),
        FieldType::JidSingle | FieldType::JidMulti => Jid::parse(value).is_ok(),
        FieldType::ListSingle | FieldType::ListMulti => {
            question.options.iter().any(|option| option.value == *value)
        }
        _ => true,
    };
    let mut filled = answer.values.iter().filter(|value| !value.is_empty());
    if filled.all(good) { Ok(()) } else { Err(invalid(&question.var)) }
}

fn single(field: &Field) -> Result<&str, StanzaError> {
    match field.values.as_slice() {
        [] => Ok(""),
        [value] => Ok(value),
        _ => Err(not_acceptable(format!("more than one value in field {}", field.var))),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn missing(var: &str) -> StanzaError {
    not_acceptable(format!("field {var} is required"))
}

fn invalid(var: &str) -> StanzaError {
    not_acceptable(format!("no valid value in field {var}"))
}
