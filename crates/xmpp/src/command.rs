//! XEP-0050 Ad-Hoc Commands, version 1.3.0: what is asked, and the answers, as words. Which commands there
//! are is known to their entity.

use crate::forms::{Form, FormKind};
use crate::{Element, ErrorType, StanzaCondition, StanzaError, ns};

/// A request (§4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Which command.
    pub node: String,
    /// What to do with it.
    pub action: Action,
    /// The session that it goes on with.
    pub session: Option<String>,
    /// The form as it was filled in; one that cancels counts as filled in with nothing (§3.5.1).
    pub form: Option<Form>,
}

/// The `action` of a request (§4.1, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start, or go on.
    Execute,
    /// Go on to the next stage.
    Next,
    /// Back to the stage before.
    Prev,
    /// Go on to the end.
    Complete,
    /// Give it up.
    Cancel,
}

/// Why a request is not accepted (§4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such action.
    MalformedAction,
    /// Not this action, now.
    BadAction,
    /// Not with this form.
    BadPayload,
    /// Not in this session.
    BadSession,
    /// Not in this session any more.
    SessionExpired,
}

/// Which of its forms a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The only one.
    Only,
    /// The first one of two.
    First,
    /// The second one of two.
    Second,
}

impl Stage {
    /// What may be done at this stage, the usual one last (§4.2).
    fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Only => &["complete"],
            Self::First => &["next"],
            Self::Second => &["prev", "complete"],
        }
    }
}

/// Longer names of sessions are not ours.
const SESSION_BYTES: usize = 64;

impl Command {
    /// Reads a `<command/>`.
    ///
    /// # Errors
    /// `bad-request`, with [`Fault`] where there is one that fits.
    pub fn parse(command: &Element) -> Result<Self, StanzaError> {
        let node = command.attr("node").ok_or(StanzaCondition::BadRequest)?;
        let action = match command.attr("action").unwrap_or("execute") {
            "execute" => Action::Execute,
            "next" => Action::Next,
            "prev" => Action::Prev,
            "complete" => Action::Complete,
            "cancel" => Action::Cancel,
            _ => return Err(Fault::MalformedAction.into()),
        };
        let session = command.attr("sessionid");
        if session.is_some_and(|it| it.is_empty() || it.len() > SESSION_BYTES) {
            return Err(Fault::BadSession.into());
        }
        let x = command.child("x", ns::DATA_FORMS);
        let form = x.map(Form::parse).transpose()?;
        if form.as_ref().is_some_and(|it| matches!(it.kind, FormKind::Form | FormKind::Result)) {
            return Err(Fault::BadPayload.into());
        }
        let session = session.map(str::to_owned);
        Ok(Self { node: node.to_owned(), action, session, form })
    }
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::MalformedAction => "malformed-action",
            Self::BadAction => "bad-action",
            Self::BadPayload => "bad-payload",
            Self::BadSession => "bad-sessionid",
            Self::SessionExpired => "session-expired",
        }
    }
}

impl From<Fault> for StanzaError {
    fn from(fault: Fault) -> Self {
        let (condition, ty) = match fault {
            Fault::SessionExpired => (StanzaCondition::NotAllowed, ErrorType::Cancel),
            _ => (StanzaCondition::BadRequest, ErrorType::Modify),
        };
        let detail = Element::new(fault.name(), ns::COMMANDS);
        Self::from(condition).with_type(ty).with_detail(detail)
    }
}

/// There is a form to be filled in (§2.4.2, §4.2).
#[must_use]
pub fn executing(node: &str, session: &str, stage: Stage, form: &Form) -> Element {
    let actions = stage.actions();
    let usual = actions.last().copied();
    let actions = Element::new("actions", ns::COMMANDS)
        .with_attr_opt("execute", usual)
        .with_children(actions.iter().map(|action| Element::new(*action, ns::COMMANDS)));
    answer(node, session, "executing").with_child(actions).with_child(form.to_element())
}

/// It is done, and this came of it.
#[must_use]
pub fn completed(node: &str, session: &str, outcome: Option<Element>) -> Element {
    answer(node, session, "completed").with_children(outcome)
}

/// It was given up (§2.4.3).
#[must_use]
pub fn canceled(node: &str, session: &str) -> Element {
    answer(node, session, "canceled")
}

/// Words for people about what was done (§4.3).
#[must_use]
pub fn note(text: impl Into<String>) -> Element {
    Element::new("note", ns::COMMANDS).with_attr("type", "info").with_text(text.into())
}

fn answer(node: &str, session: &str, status: &str) -> Element {
    Element::new("command", ns::COMMANDS)
        .with_attr("node", node)
        .with_attr("sessionid", session)
        .with_attr("status", status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(xml: &str) -> Result<Command, StanzaError> {
        Command::parse(&Element::parse(xml.replace("NS", ns::COMMANDS).as_bytes()).unwrap())
    }

    fn fault(xml: &str) -> Option<String> {
        parse(xml).unwrap_err().detail.map(|it| it.name().to_owned())
    }

    // §4.1, §3.5.1
    #[test]
    fn a_request_says_what_to_do_with_which_command() {
        let plain = parse("<command xmlns='NS' node='list'/>").unwrap();
        let Command { node, action, session, form } = plain;
        assert_eq!((node.as_str(), action), ("list", Action::Execute));
        assert_eq!((session, form), (None, None));
        let filled = "<command xmlns='NS' node='n' action='complete' sessionid='s'>\
            <x xmlns='jabber:x:data' type='cancel'/></command>";
        let filled = parse(filled).unwrap();
        assert_eq!((filled.action, filled.session.as_deref()), (Action::Complete, Some("s")));
        assert!(filled.form.is_some());
    }

    // §4.4
    #[test]
    fn what_cannot_be_accepted_is_named() {
        assert_eq!(fault("<command xmlns='NS'/>"), None);
        let malformed = fault("<command xmlns='NS' node='n' action='run'/>");
        assert_eq!(malformed.as_deref(), Some("malformed-action"));
        let session = fault("<command xmlns='NS' node='n' sessionid=''/>");
        assert_eq!(session.as_deref(), Some("bad-sessionid"));
        let payload =
            "<command xmlns='NS' node='n'><x xmlns='jabber:x:data' type='form'/></command>";
        assert_eq!(fault(payload).as_deref(), Some("bad-payload"));
        let expired = StanzaError::from(Fault::SessionExpired);
        assert_eq!(
            (expired.ty, expired.condition),
            (ErrorType::Cancel, StanzaCondition::NotAllowed)
        );
        assert_eq!(expired.detail.unwrap().name(), "session-expired");
    }

    // §3.4, §4.2
    #[test]
    fn each_stage_says_what_may_be_done_and_what_is_usual() {
        let form = Form::new(FormKind::Form, "urn:x");
        for (stage, allowed, usual) in [
            (Stage::Only, &["complete"][..], "complete"),
            (Stage::First, &["next"], "next"),
            (Stage::Second, &["prev", "complete"], "complete"),
        ] {
            let asks = executing("n", "s", stage, &form);
            let actions = asks.child("actions", ns::COMMANDS).unwrap();
            assert_eq!(actions.attr("execute"), Some(usual));
            assert_eq!(actions.children().map(Element::name).collect::<Vec<_>>(), allowed);
        }
    }
}
