//! XEP-0004 Data Forms, version 2.13.2, with the FORM_TYPE of XEP-0068. What is offered, what was
//! submitted, and whether the one answers the other. What a field means is known to its owner.

mod field;
mod read;
#[cfg(test)]
mod tests;

pub use field::{Choice, Field, FieldType};

use crate::{Element, StanzaCondition, StanzaError, ns};

/// More fields than this are refused; the largest form in use has about 40.
pub const FIELDS_MAX: usize = 256;

const FORM_TYPE: &str = "FORM_TYPE";

/// A form: questions, answers, or data (§3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What the form is for.
    pub kind: FormKind,
    /// A name for people.
    pub title: Option<String>,
    /// What people should do, a paragraph each.
    pub instructions: Vec<String>,
    /// In the order in which people should see them.
    pub fields: Vec<Field>,
}

/// The `type` of a form (§3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormKind {
    /// `form`: to be filled in.
    Form,
    /// `submit`: filled in.
    Submit,
    /// `cancel`: will not be filled in.
    Cancel,
    /// `result`: data.
    Result,
}

/// Several results with the same fields (§3.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// A name for people.
    pub title: Option<String>,
    /// The columns; each with a type and a label, without values.
    pub reported: Vec<Field>,
    /// The rows; each has every column.
    pub items: Vec<Vec<Field>>,
}

impl Form {
    /// An empty form with its FORM_TYPE (XEP-0068 §3.1).
    #[must_use]
    pub fn new(kind: FormKind, form_type: impl Into<String>) -> Self {
        let form_type = Field::new(FieldType::Hidden, FORM_TYPE).with_value(form_type);
        Self { kind, title: None, instructions: Vec::new(), fields: vec![form_type] }
    }

    /// With a field appended.
    #[must_use]
    pub fn with(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// With a name and instructions for people.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>, instructions: &str) -> Self {
        self.title = Some(title.into());
        self.instructions = instructions.lines().map(str::to_owned).collect();
        self
    }

    /// Reads an `<x/>`. Fields without a name are decoration and left out; of fields with the same
    /// name only the first counts. `<reported/>` and `<item/>` are not read.
    ///
    /// # Errors
    /// `bad-request` for another element or an unknown type, `not-acceptable` for more than
    /// [`FIELDS_MAX`] fields.
    pub fn parse(x: &Element) -> Result<Self, StanzaError> {
        let kind = x.attr("type").and_then(FormKind::parse);
        let Some(kind) = kind.filter(|_| x.is("x", ns::DATA_FORMS)) else {
            return Err(bad_request("not a data form"));
        };
        let named = |name: &'static str| x.children().filter(move |c| c.is(name, ns::DATA_FORMS));
        if named("field").count() > FIELDS_MAX {
            return Err(not_acceptable("too many fields".to_owned()));
        }
        let mut form = Self {
            kind,
            title: named("title").next().map(Element::text),
            instructions: named("instructions").map(Element::text).collect(),
            fields: Vec::new(),
        };
        for field in named("field").filter_map(Field::parse) {
            if form.field(&field.var).is_none() {
                form.fields.push(field);
            }
        }
        Ok(form)
    }

    /// Reads the answer to a form of the given FORM_TYPE out of its wrapper; none for an answer that
    /// cancels. An answer that names no FORM_TYPE is taken for one of this (XEP-0068 §4.1).
    ///
    /// # Errors
    /// `bad-request` where there is no answer, or one to another form; and as of [`Form::parse`].
    pub fn submitted(wrapper: &Element, form_type: &str) -> Result<Option<Self>, StanzaError> {
        let x = wrapper.child("x", ns::DATA_FORMS);
        let form = Self::parse(x.ok_or_else(|| bad_request("no data form"))?)?;
        match form.kind {
            FormKind::Cancel => Ok(None),
            FormKind::Submit if form.form_type().is_none_or(|ty| ty == form_type) => Ok(Some(form)),
            FormKind::Submit => Err(bad_request("a data form of another FORM_TYPE")),
            FormKind::Form | FormKind::Result => Err(bad_request("not a submitted data form")),
        }
    }

    /// The FORM_TYPE. In forms and results it counts only when hidden (XEP-0068 §4.3).
    #[must_use]
    pub fn form_type(&self) -> Option<&str> {
        let field = self.field(FORM_TYPE)?;
        let counts = self.kind == FormKind::Submit || field.ty == Some(FieldType::Hidden);
        field.values.first().filter(|_| counts).map(String::as_str)
    }

    /// The field of this name.
    #[must_use]
    pub fn field(&self, var: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.var == var)
    }

    /// The `<x/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut x = Element::new("x", ns::DATA_FORMS).with_attr("type", self.kind.as_str());
        if let Some(title) = &self.title {
            x.push(Element::new("title", ns::DATA_FORMS).with_text(title));
        }
        for line in &self.instructions {
            x.push(Element::new("instructions", ns::DATA_FORMS).with_text(line));
        }
        x.with_children(self.fields.iter().map(Field::to_element))
    }
}

impl FormKind {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "form" => Some(Self::Form),
            "submit" => Some(Self::Submit),
            "cancel" => Some(Self::Cancel),
            "result" => Some(Self::Result),
            _ => None,
        }
    }

    /// The value of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Submit => "submit",
            Self::Cancel => "cancel",
            Self::Result => "result",
        }
    }
}

impl Table {
    /// The `<x type='result'/>`, header first (§3.4).
    #[must_use]
    pub fn to_element(&self) -> Element {
        let row = |name: &'static str, fields: &[Field]| {
            Element::new(name, ns::DATA_FORMS).with_children(fields.iter().map(Field::to_element))
        };
        let title = self.title.as_deref();
        let title = title.map(|title| Element::new("title", ns::DATA_FORMS).with_text(title));
        Element::new("x", ns::DATA_FORMS)
            .with_attr("type", FormKind::Result.as_str())
            .with_children(title)
            .with_child(row("reported", &self.reported))
            .with_children(self.items.iter().map(|item| row("item", item)))
    }
}

fn bad_request(text: &str) -> StanzaError {
    StanzaError::from(StanzaCondition::BadRequest).with_text(text)
}

/// What §4 wants for data that is not valid.
fn not_acceptable(text: String) -> StanzaError {
    StanzaError::from(StanzaCondition::NotAcceptable).with_text(text)
}
