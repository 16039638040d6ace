//! XEP-0077 In-Band Registration, version 2.4, for who is logged in: another password (§3.3), and no account any
//! more (§3.2). What is sent to the server is meant for the account all the same. Who registers before log-in
//! does not come here.

use accounts::form::{self, RegistrationRequest};
use auth::{Account, Credentials};
use entity::extension::Who;
use entity::refuse::store_error;
use entity::{Answer, Context, Extension, Iq, Passage, Request, Verdict};
use store::{Key, Kind, Write};
use xmpp::{
    ErrorType, IqType, Jid, Kind as StanzaKind, StanzaCondition, StanzaError, StreamCondition,
    StreamError, ns,
};

use crate::extensions::{again, reply};
use crate::{User, bind, iq, leaving};

/// Registration of an account.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0077",
    title: "In-Band Registration",
    version: "2.4",
    features: &[ns::REGISTER],
    iqs: &[
        Iq { ty: IqType::Get, name: "query", ns: ns::REGISTER, who: Who::Owner, handle: get },
        Iq { ty: IqType::Set, name: "query", ns: ns::REGISTER, who: Who::Owner, handle: set },
    ],
    outbound: Some(to_server),
    ..Extension::NONE
};

/// A request to the own server (§3.3, example 18).
fn to_server(user: &mut User, passage: &mut Passage, cx: &mut Context<'_, User>) -> Verdict {
    let Passage { stanza, session, .. } = passage;
    let is_request = matches!(stanza.kind(), StanzaKind::Iq(ty) if ty.is_request());
    let own = |to: &Jid| to.is_domain() && to.as_str() == user.jid.domainpart();
    if !is_request || !stanza.head().to.as_ref().is_some_and(own) {
        return Verdict::Pass;
    }
    if stanza.find("query", ns::REGISTER).is_none() {
        return Verdict::Pass;
    }
    iq::answer(user, *session, stanza.clone(), cx);
    Verdict::Stop
}

/// §3.1, example 3.
fn get(user: &mut User, _: &Request, _: &mut Context<'_, User>) -> Result<Answer, StanzaError> {
    Ok(Answer::Result(form::registered(user.jid.localpart().unwrap_or_default())))
}

fn set(
    user: &mut User,
    request: &Request,
    cx: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    let not_allowed = |text: &str| {
        let error = StanzaError::from(StanzaCondition::NotAllowed).with_type(ErrorType::Cancel);
        Err(error.with_text(text))
    };
    let policy = &cx.shared.registration.policy;
    let (username, password) = match RegistrationRequest::read(&request.payload)? {
        RegistrationRequest::Cancel => return Ok(Answer::Done),
        RegistrationRequest::Remove if !policy.cancel => {
            return not_allowed("accounts are not removed over XMPP here");
        }
        RegistrationRequest::Remove => {
            leaving::begin(user, Some(again(request)), cx);
            return Ok(Answer::Later);
        }
        RegistrationRequest::Set { username, password } => (username, password),
    };
    if !policy.change_password {
        return not_allowed("passwords are not changed over XMPP here");
    }
    // An empty password is no password: the present one stays (§3.3).
    let (Some(username), Some(password)) = (username, password.filter(|it| !it.is_empty())) else {
        return Err(StanzaCondition::BadRequest.into());
    };
    let named = Jid::from_parts(Some(&username), user.jid.domainpart(), None);
    let is_own = |jid: Jid| jid.is_bare() && jid.as_str() == user.jid.as_str();
    // Some clients write the whole address.
    if !named.is_ok_and(is_own) && !Jid::parse(&username).is_ok_and(is_own) {
        return not_allowed("you can change your own password only");
    }
    policy.password(user.jid.localpart().unwrap_or_default(), &password)?;
    let (iterations, request) = (cx.shared.registration.iterations, again(request));
    cx.read(
        move |_, _| {
            Box::pin(async move { Ok(accounts::accounts::derive(password, iterations).await) })
        },
        move |user, cx, derived| match derived {
            Ok(Some(credentials)) if user.exists => keep(user, request, credentials, cx),
            _ => reply(user, &request, Err(StanzaCondition::NotAcceptable.into()), cx),
        },
    );
    Ok(Answer::Later)
}

/// Whoever had the former password has no session any more; who changed it keeps theirs.
fn keep(user: &User, request: Request, credentials: Credentials, cx: &mut Context<'_, User>) {
    let key = Key::new(user.jid.clone(), Kind::Account, "");
    let row = Account::new(credentials).encode();
    cx.commit_then(vec![Write::Put(key, row.into())], move |user, cx, kept| {
        let answer = kept.map(|()| None).map_err(|error| store_error(&error));
        let changed = answer.is_ok();
        reply(user, &request, answer, cx);
        if !changed {
            return;
        }
        tracing::info!(jid = %user.jid, "a password was changed by its owner");
        let others = user.sessions.iter().map(|entry| entry.id.uid);
        let others: Vec<u64> = others.filter(|it| Some(*it) != request.session).collect();
        for session in others {
            let error = StreamError::from(StreamCondition::Reset);
            bind::end(user, session, error.with_text("the password was changed"), cx);
        }
    });
}
