//! XEP-0388 Extensible SASL Profile, version 1.0.4, with XEP-0386 Bind 2, version 1.1.0: proving who one is, and
//! having a session at once. A client says with its first element what it wants once it is known; what came of that
//! stands in `<success/>`, and no stream restarts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use sha1::{Digest as _, Sha1};
use xmpp::{
    BareJid, Element, FullJid, StanzaCondition, StanzaError, StreamCondition, datetime, ns,
};

use super::{Effect, Machine, Phase, sm};

/// The namespace of the profile.
pub(crate) const SASL2: &str = "urn:xmpp:sasl:2";
/// The namespace of what binds.
pub(crate) const BIND2: &str = "urn:xmpp:bind:0";

/// The namespace of tokens (XEP-0484).
pub(crate) const FAST: &str = "urn:xmpp:fast:0";

/// The namespace of wishes for more verifiers, and of the tasks that bring them (XEP-0480).
pub(crate) const UPGRADE: &str = "urn:xmpp:sasl:upgrade:0";
const SCRAM_UPGRADE: &str = "urn:xmpp:scram-upgrade:0";
/// Most tasks that one log-in asks for.
const UPGRADES_MOST: usize = 4;

/// The longest name that a client gives itself; a UUID has 36 (XEP-0388 §2.3).
const DEVICE_MAX: usize = 128;

/// The longest name of software that becomes a part of a resource.
const TAG_MAX: usize = 64;

/// What a client asks for along with its log-in (inline, as XEP-0388 calls it).
#[derive(Debug, Default)]
pub(super) struct InlineRequests {
    /// What it says of itself and of tokens.
    tokens: Tokens,
    /// Verifiers that it would bring, by the names of their tasks (XEP-0480 §2.2).
    upgrades: Vec<String>,
    /// The task that is under way, and whether the client has begun it.
    task: Option<(String, bool)>,
    /// To go on with a session (XEP-0198 §5): its id, and how much was handled.
    resume: Option<(String, u32)>,
    bind: Option<Bind>,
    /// What the answer says so far.
    success: Vec<Element>,
    /// The full address, once there is one.
    jid: Option<FullJid>,
    /// `<bound/>`, until it is complete.
    bound: Option<Element>,
}

/// What a client says of tokens (XEP-0484).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The client, as it calls itself (XEP-0388 §2.3).
    pub device: Option<String>,
    /// It shows one (§3.4).
    pub shown: bool,
    /// What it shows is to end (§3.6).
    pub invalidate: bool,
    /// It wants one for this mechanism (§3.2).
    pub wanted: Option<String>,
}

/// What a client says of a new session (XEP-0386 §3.2).
#[derive(Debug)]
struct Bind {
    resource: Option<String>,
    enable: Option<Element>,
    state: Option<Element>,
    carbons: bool,
}

impl Machine {
    /// Whether a log-in of this profile is under way.
    pub(super) fn is_sasl2(&self) -> bool {
        self.inline.is_some()
    }

    /// Whether the session that is bound is to have carbons from the beginning.
    pub fn wants_carbons(&self) -> bool {
        self.inline
            .as_ref()
            .and_then(|inline| inline.bind.as_ref())
            .is_some_and(|bind| bind.carbons)
    }

    /// What the client that logs in says of tokens; none where it does so without the profile.
    pub fn tokens(&self) -> Option<&Tokens> {
        self.inline.as_ref().map(|inline| &inline.tokens)
    }

    /// The tasks that the client that logs in would do (XEP-0480 §2.2).
    pub fn upgrades(&self) -> Vec<String> {
        self.inline.as_ref().map(|inline| inline.upgrades.clone()).unwrap_or_default()
    }

    /// XEP-0388 §2.6.3: one task, which the client begins.
    pub(super) fn ask_task(
        &mut self,
        data: Option<Vec<u8>>,
        task: String,
        effects: &mut Vec<Effect>,
    ) {
        let data = data.map(|data| STANDARD.encode(data));
        let data = data.map(|data| Element::new("additional-data", SASL2).with_text(data));
        let tasks = Element::new("tasks", SASL2)
            .with_child(Element::new("task", SASL2).with_text(task.clone()));
        let next = Element::new("continue", SASL2).with_children(data).with_child(tasks);
        self.write_element(&next, effects);
        if let Some(inline) = &mut self.inline {
            inline.task = Some((task, false));
        }
        self.phase = Phase::Challenged;
    }

    /// What the client must know for it.
    pub(super) fn tell_task(&mut self, data: Element, effects: &mut Vec<Effect>) {
        self.write_element(&Element::new("task-data", SASL2).with_child(data), effects);
        self.phase = Phase::Challenged;
    }

    /// An element of a client that has a task to do; anything else ends the log-in.
    fn do_task(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        let task = self.inline.as_mut().and_then(|inline| inline.task.as_mut());
        let hash = element.child("hash", SCRAM_UPGRADE).map(Element::text);
        let step = match (element.name(), task, hash) {
            ("next", Some((task, begun @ false)), _) if element.attr("task") == Some(task) => {
                *begun = true;
                None
            }
            ("task-data", Some((_, true)), Some(hash)) => Some(hash),
            _ => {
                effects.push(Effect::SaslAbort);
                return self.fail("malformed-request".into(), None, effects);
            }
        };
        self.phase = Phase::Checking;
        effects.push(Effect::SaslTask(step));
    }

    /// The answer to a log-in that succeeds has a token in it, which ends at this time.
    pub fn give_token(&mut self, token: &str, end_unix_seconds: u64) {
        let expiry = datetime::format_seconds(end_unix_seconds.saturating_mul(1_000_000));
        let token = Element::new("token", FAST).with_attr("token", token);
        if let Some(inline) = &mut self.inline {
            inline.note(token.with_attr("expiry", expiry));
        }
    }

    /// An element of the profile before login.
    pub(super) fn extensible(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        let running = self.phase == Phase::Challenged;
        match element.name() {
            "authenticate" if !running => self.authenticate(element, effects),
            "next" | "task-data" | "response" if running && self.has_task() => {
                self.do_task(element, effects);
            }
            "response" if running && self.is_sasl2() => {
                self.phase = Phase::Checking;
                effects.push(Effect::SaslResponse(element.text()));
            }
            "abort" if running && self.is_sasl2() => {
                effects.push(Effect::SaslAbort);
                self.fail("aborted".into(), None, effects);
            }
            // §2.4: nothing else may come.
            _ => self.refuse(StreamCondition::NotAuthorized, effects),
        }
    }

    fn has_task(&self) -> bool {
        self.inline.as_ref().is_some_and(|inline| inline.task.is_some())
    }

    fn authenticate(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        self.inline = Some(Box::new(InlineRequests::read(element)));
        let Some(mechanism) = element.attr("mechanism") else {
            return self.fail("invalid-mechanism".into(), None, effects);
        };
        if self.offer.mechanisms.is_empty() {
            return self.fail("encryption-required".into(), None, effects);
        }
        // An initial response that is there but empty is a single equals sign in RFC 6120 §6.4.2.
        let initial = element.child("initial-response", SASL2).map(Element::text);
        let initial = initial.map_or_else(String::new, |text| match text.is_empty() {
            true => "=".to_owned(),
            false => text,
        });
        self.phase = Phase::Checking;
        effects.push(Effect::Sasl { mechanism: mechanism.to_owned(), initial });
    }

    /// The client is who it says. The shell calls [`Machine::continue_after_login`] when it is ready for more.
    pub(super) fn authenticated(
        &mut self,
        data: Option<Vec<u8>>,
        account: BareJid,
        effects: &mut Vec<Effect>,
    ) {
        let data = data.map(|data| STANDARD.encode(data));
        let data = data.map(|data| Element::new("additional-data", SASL2).with_text(data));
        if let Some(inline) = &mut self.inline {
            inline.success.extend(data);
        }
        self.account = Some(account);
        self.offer = crate::SaslOffer::default();
        self.phase = Phase::Attaching;
        effects.push(Effect::Authenticated);
    }

    /// The shell is ready to look for sessions: answer to [`Effect::Authenticated`].
    pub fn continue_after_login(&mut self, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Attaching {
            return;
        }
        let resume = self.inline.as_mut().and_then(|inline| inline.resume.take());
        match resume {
            Some((previd, h)) => effects.push(Effect::Resume { previd, h }),
            None => self.bind_inline(effects),
        }
    }

    /// Behind a resumption that was not wanted, or was not possible.
    pub(super) fn bind_inline(&mut self, effects: &mut Vec<Effect>) {
        let Some(inline) = &mut self.inline else { return };
        let Some(bind) = &mut inline.bind else { return self.tell_success(effects) };
        let wanted = bind.resource.take().filter(|wanted| {
            // What cannot be a resource is left to the server.
            self.account.as_ref().is_some_and(|account| account.with_resource(wanted).is_ok())
        });
        effects.push(Effect::Bind { resource: wanted, iq_id: "".into() });
    }

    /// The session goes on here.
    pub(super) fn resumed_inline(
        &mut self,
        jid: &FullJid,
        answer: Element,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(inline) = &mut self.inline {
            inline.jid = Some(jid.clone());
            inline.success.push(answer);
            // What else was wanted does not matter then (XEP-0386 §3.2).
            inline.bind = None;
        }
        self.tell_success(effects);
    }

    /// There is a session.
    pub(super) fn bound_inline(&mut self, jid: &FullJid, effects: &mut Vec<Effect>) {
        let Some(inline) = &mut self.inline else { return };
        inline.jid = Some(jid.clone());
        inline.bound = Some(Element::new("bound", BIND2));
        match inline.bind.as_mut().and_then(|bind| bind.enable.take()) {
            // Its answer belongs to `<bound/>`.
            Some(enable) => effects.push(Effect::Nonza(enable)),
            None => self.tell_success(effects),
        }
    }

    /// Whether the answer to `<enable/>` is awaited here.
    pub fn awaits_enabled(&self) -> bool {
        self.phase == Phase::Attaching
            && self.inline.as_ref().is_some_and(|inline| inline.bound.is_some())
    }

    /// Stream management is on, or not: the answer that the client is to get.
    pub fn enabled(&mut self, answer: Element, effects: &mut Vec<Effect>) {
        if let Some(bound) = self.inline.as_mut().and_then(|inline| inline.bound.as_mut()) {
            bound.push(answer);
        }
        self.tell_success(effects);
    }

    /// The session could not be had. The client is known, but there is no way to say both (§2.6).
    pub(super) fn inline_bind_refused(&mut self, error: &StanzaError, effects: &mut Vec<Effect>) {
        let condition = match error.condition {
            StanzaCondition::ResourceConstraint => StreamCondition::ResourceConstraint,
            StanzaCondition::Conflict => StreamCondition::Conflict,
            _ => StreamCondition::InternalServerError,
        };
        self.refuse(condition, effects);
    }

    /// Says what came of it all, and what is offered now (§2.6.1); a session that goes on here is there at once, and
    /// nothing is offered (XEP-0198 §9.2).
    fn tell_success(&mut self, effects: &mut Vec<Effect>) {
        let (Some(inline), Some(account)) = (self.inline.take(), &self.account) else { return };
        let InlineRequests { bind, success, jid, bound, .. } = *inline;
        let who = jid.as_ref().map_or(account.as_str(), |jid| jid.as_str()).to_owned();
        let who = Element::new("authorization-identifier", SASL2).with_text(who);
        let is_resumed = success.iter().any(|it| it.is("resumed", ns::SM));
        // Who sees stream management offered once more tries to resume.
        let counts = bound.as_ref().is_some_and(|bound| bound.child("enabled", ns::SM).is_some());
        let success = Element::new("success", SASL2)
            .with_children(success)
            .with_child(who)
            .with_children(bound);
        self.write_element(&success, effects);
        let features = match jid {
            Some(_) if counts => {
                self.config.features.after_binding(&[ns::BIND, ns::SESSION, ns::SM])
            }
            Some(_) => self.config.features.after_binding(&[ns::BIND, ns::SESSION]),
            None => self.config.features.after_login(),
        };
        if !is_resumed {
            self.write(self.config.framing.features(&features), effects);
        }
        self.phase = if jid.is_some() { Phase::Open } else { Phase::Binding };
        effects.extend(bind.and_then(|bind| bind.state).map(Effect::Nonza));
        self.release_held(effects);
    }
}

impl InlineRequests {
    /// The answer says this too.
    pub(super) fn note(&mut self, answer: Element) {
        self.success.push(answer);
    }

    fn read(element: &Element) -> Self {
        let resume = element.child("resume", ns::SM).map(sm::Request::parse);
        let (resume, failed) = match resume {
            Some(Ok(sm::Request::Resume { previd, h })) => (Some((previd, h)), None),
            // What cannot be understood has failed (XEP-0198 §9.2.1).
            Some(_) => (None, Some(sm::failed(StanzaCondition::BadRequest, None))),
            None => (None, None),
        };
        let device = element.child("user-agent", SASL2).and_then(|agent| agent.attr("id"));
        let bind = element.child("bind", BIND2).map(|bind| Bind::read(bind, device));
        let upgrades = element.children().filter(|child| child.is("upgrade", UPGRADE));
        let upgrades = upgrades.take(UPGRADES_MOST).map(Element::text).collect();
        let tokens = Tokens::read(element, device);
        let success = failed.into_iter().collect();
        Self { resume, bind, tokens, upgrades, success, ..Self::default() }
    }
}

impl Tokens {
    fn read(element: &Element, device: Option<&str>) -> Self {
        let fast = element.child("fast", FAST);
        let ends = fast.and_then(|fast| fast.attr("invalidate"));
        let wanted = element.child("request-token", FAST);
        let device = device.filter(|it| !it.is_empty() && it.len() <= DEVICE_MAX);
        Self {
            device: device.map(str::to_owned),
            shown: fast.is_some(),
            invalidate: ends.is_some_and(|ends| ends == "true" || ends == "1"),
            wanted: wanted.and_then(|it| it.attr("mechanism")).map(str::to_owned),
        }
    }
}

impl Bind {
    fn read(bind: &Element, device: Option<&str>) -> Self {
        let tag = bind.child("tag", BIND2).map(Element::text).filter(|tag| tag.len() <= TAG_MAX);
        let state = bind
            .children()
            .find(|child| child.is("inactive", ns::CSI) || child.is("active", ns::CSI));
        Self {
            resource: resource(tag.filter(|tag| !tag.is_empty()).as_deref(), device),
            enable: bind.child("enable", ns::SM).cloned(),
            state: state.cloned(),
            carbons: bind.child("enable", ns::CARBONS).is_some(),
        }
    }
}

/// A resource that is the same for the same client, so that it takes the place of its former session; the id of the
/// device cannot be learned from it (XEP-0386 §3.2.1).
fn resource(tag: Option<&str>, device: Option<&str>) -> Option<String> {
    let hash = |device: &str| HEXLOWER.encode(&Sha1::digest(device)[..8]);
    match (tag, device) {
        (Some(tag), Some(device)) => Some(format!("{tag}/{}", hash(&format!("{device}/{tag}")))),
        (None, Some(device)) => Some(hash(device)),
        (Some(_) | None, None) => None,
    }
}
