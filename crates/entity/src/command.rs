//! XEP-0050 Ad-Hoc Commands, version 1.3.0: owns the shape of a command of an entity, who may run it, and how
//! it is found and run. Most commands have at most one form, which holds everything that it needs: so nothing is
//! kept between its stages, and a form that is known may be sent at once. Where what is asked for depends on an answer,
//! there are two, and the entity keeps who is between them.

mod sessions;
mod staged;

pub use sessions::{Open, Sessions};
pub use staged::{RunsSecond, Second};

use xmpp::command::{self, Action, Fault, Stage};
use xmpp::forms::Form;
use xmpp::{Element, ErrorType, IqType, Jid, Stanza, StanzaCondition, StanzaError, ns};

use crate::context::Context;
use crate::entity::Entity;
use crate::extension::{Answer, Extension, Extensions, Iq, Request, Who};

/// An entity that has commands, its own or those of its extensions.
pub trait Commanded: Entity {
    /// Its commands beside those of its extensions.
    const COMMANDS: &'static [Command<Self>] = &[];

    /// All that it can do, the commands among it.
    fn extensions() -> &'static Extensions<Self>;

    /// Who is in the midst of a command of two forms; none: it has no such commands.
    fn sessions(&mut self) -> Option<&mut Sessions> {
        None
    }
}

impl<E: Commanded> Extension<E> {
    /// Commands of the entity.
    pub const COMMANDS: Self = Self {
        number: "0050",
        title: "Ad-Hoc Commands",
        version: "1.3.0",
        features: &[ns::COMMANDS],
        iqs: &[Iq {
            ty: IqType::Set,
            name: "command",
            ns: ns::COMMANDS,
            who: Who::Anybody,
            handle: answer,
        }],
        commands: E::COMMANDS,
        ..Self::NONE
    };
}

/// One command.
pub struct Command<E: Entity> {
    /// Its name for machines, unique for the entity.
    pub node: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// Who may run it, and see that it is there.
    pub may: fn(&E, &Jid) -> bool,
    /// The form that is to be filled in first; without one it runs at once.
    pub form: Option<fn(&E) -> Form>,
    /// Runs it; of two forms, with the first.
    pub run: Runs<E>,
    /// Another form that follows the first.
    pub second: Option<Second<E>>,
}

/// What runs a command, with the form as it was filled in.
pub type Runs<E> =
    fn(&mut E, &Run, Option<&Form>, &mut Context<'_, E>) -> Result<Outcome, StanzaError>;

/// A command that runs: to whom its end is told.
#[derive(Clone, Debug)]
pub struct Run {
    /// Who asked for it.
    pub asker: Jid,
    /// The request that is answered.
    pub request: Stanza,
    node: &'static str,
    session: String,
}

/// How far a command is.
pub enum Outcome {
    /// It is done, and this came of it.
    Completed(Option<Element>),
    /// [`Run::completed`] is sent in a later turn.
    Later,
}

impl Run {
    /// What asks for a form, where that is not known before.
    #[must_use]
    pub fn executing(&self, stage: Stage, form: &Form) -> Element {
        command::executing(self.node, &self.session, stage, form)
    }

    /// The command's name for machines.
    #[must_use]
    pub fn node(&self) -> &'static str {
        self.node
    }

    /// The `sessionid`.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// What says that it is done.
    #[must_use]
    pub fn completed(&self, outcome: Option<Element>) -> Element {
        command::completed(self.node, &self.session, outcome)
    }
}

/// Answers a request to run a command, with the errors of §4.4.
fn answer<E: Commanded>(
    entity: &mut E,
    request: &Request,
    cx: &mut Context<'_, E>,
) -> Result<Answer, StanzaError> {
    let asked = command::Command::parse(&request.payload)?;
    let asker = request.stanza.head().from.clone().ok_or(StanzaCondition::BadRequest)?;
    let command = permitted(E::extensions(), entity, &asked.node, &asker)?;
    if let Some(second) = &command.second {
        return staged::answer(entity, (command, second), (&asked, asker), request, cx);
    }
    let session = asked.session.unwrap_or_else(|| format!("{:016x}", cx.random_u64()));
    match (asked.action, command.form, &asked.form) {
        (Action::Cancel, ..) => Ok(Answer::Result(command::canceled(command.node, &session))),
        (Action::Prev | Action::Next, ..) => Err(Fault::BadAction.into()),
        (Action::Execute, Some(form), None) => Ok(Answer::Result(command::executing(
            command.node,
            &session,
            Stage::Only,
            &form(entity),
        ))),
        (Action::Complete, Some(_), None) => Err(Fault::BadPayload.into()),
        (Action::Execute | Action::Complete, form, _) => {
            if let (Some(form), Some(filled)) = (form, &asked.form) {
                check(filled, &form(entity))?;
            }
            let run = Run { asker, request: request.stanza.clone(), node: command.node, session };
            match (command.run)(entity, &run, asked.form.as_ref(), cx)? {
                Outcome::Completed(outcome) => Ok(Answer::Result(run.completed(outcome))),
                Outcome::Later => Ok(Answer::Later),
            }
        }
    }
}

fn check(filled: &Form, offered: &Form) -> Result<(), StanzaError> {
    if filled.form_type().is_some_and(|ty| Some(ty) != offered.form_type()) {
        return Err(Fault::BadPayload.into());
    }
    let bad = |error: StanzaError| StanzaError { text: error.text, ..Fault::BadPayload.into() };
    filled.check_against(offered).map_err(bad)
}

/// The command of this name, if the asker may run it.
fn permitted<E: Entity>(
    extensions: &Extensions<E>,
    entity: &E,
    node: &str,
    asker: &Jid,
) -> Result<&'static Command<E>, StanzaError> {
    let command = extensions.commands().find(|command| command.node == node);
    let command = command.ok_or(StanzaCondition::ItemNotFound)?;
    match (command.may)(entity, asker) {
        true => Ok(command),
        false => Err(StanzaError::from(StanzaCondition::Forbidden).with_type(ErrorType::Cancel)),
    }
}

/// What discovery says of the node of all commands, or of one (§2.2); none: it is another node.
pub fn info<E: Entity>(
    extensions: &Extensions<E>,
    entity: &E,
    node: &str,
    asker: &Jid,
) -> Option<Result<Element, StanzaError>> {
    let described = |ty, name, features: &[&'static str]| {
        let identity = Element::new("identity", ns::DISCO_INFO)
            .with_attr("category", "automation")
            .with_attr("type", ty)
            .with_attr("name", name);
        let feature =
            |var: &&'static str| Element::new("feature", ns::DISCO_INFO).with_attr("var", *var);
        Element::new("query", ns::DISCO_INFO)
            .with_attr("node", node)
            .with_child(identity)
            .with_children(features.iter().map(feature))
    };
    if node == ns::COMMANDS {
        return Some(Ok(described("command-list", "Commands", &[ns::COMMANDS])));
    }
    extensions.commands().find(|command| command.node == node)?;
    let features = &[ns::COMMANDS, ns::DATA_FORMS];
    let command = permitted(extensions, entity, node, asker);
    Some(command.map(|command| described("command-node", command.name, features)))
}

/// The commands that the asker may run (§2.2).
pub fn items<E: Entity>(extensions: &Extensions<E>, entity: &E, own: &str, asker: &Jid) -> Element {
    let mine = extensions.commands().filter(|command| (command.may)(entity, asker));
    let item = |command: &Command<E>| {
        Element::new("item", ns::DISCO_ITEMS)
            .with_attr("jid", own)
            .with_attr("node", command.node)
            .with_attr("name", command.name)
    };
    Element::new("query", ns::DISCO_ITEMS)
        .with_attr("node", ns::COMMANDS)
        .with_children(mine.map(item))
}
