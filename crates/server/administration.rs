//! Owns the administration, put together: accounts that are told, sessions of all members, who is
//! an administrator, who registers strangers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use accounts::administration::{Landing, Reading};
use accounts::{Accounts, Administration, Registrar};
use proto::{Body, Route};
use router::Router;
use router::directory::Seen;
use user::extensions::last;
use user::waiting::{Detached, Waiting};
use xmpp::BareJid;

use crate::config::Config;
use crate::federation::Watched;
use crate::foundation::Foundation;
use crate::rooms::Held;

/// All of it; and where the port of HTTPS is put when it is known, for pages about invitations.
pub(crate) fn make(
    foundation: &Arc<Foundation>,
    config: &Config,
    router: &Router,
    members: &web::Members,
) -> anyhow::Result<(Administration, Arc<AtomicU16>)> {
    let teller = router.clone();
    let tell = move |jid: &BareJid, word| {
        teller.order(Route::User(jid.clone()), Body::User(word));
    };
    let accounts = Accounts { tell: Some(Arc::new(tell)), ..foundation.accounts(config) };
    let port = Arc::<AtomicU16>::default();
    let administration = Administration {
        accounts,
        sessions: Arc::new(members.clone()),
        reading: Reading { roster: user::shown_roster, left: last::left_in },
        admins: Arc::new(config.admins()?),
        admissions: Arc::new(config.admissions()?),
        policy: config.registration.clone(),
        landing: landing(config, Arc::clone(&port)),
    };
    Ok((administration, port))
}

/// The port of HTTPS is known.
pub(crate) fn tell_port(port: &AtomicU16, addresses: &[SocketAddr]) {
    if let Some(address) = addresses.first() {
        port.store(address.port(), Ordering::Relaxed);
    }
}

/// Who registers strangers, if anybody may register.
pub(crate) fn registrar(
    config: &Config,
    administration: &Administration,
) -> anyhow::Result<Option<Arc<Registrar>>> {
    let accounts = administration.accounts.clone();
    let (policy, limits) = (config.registration.clone(), config.limits.enabled);
    let registrar = Registrar::new(accounts, policy, config.admissions()?, limits);
    let is_open = registrar.domains().next().is_some();
    Ok(is_open.then(|| Arc::new(registrar)))
}

/// What operators may ask of all members; the others may ask this one. With the list in which this member's sessions stand
/// that wait to be resumed.
pub(crate) fn meet_members(
    foundation: &Foundation,
    router: &Router,
    watched: &Arc<Watched>,
    rooms: &Held,
) -> (web::Members, Arc<Waiting>) {
    let cluster = &foundation.cluster;
    let (peers, federation) = (cluster.peers().cloned(), Arc::clone(watched) as _);
    let (router, plan, rooms) = (router.clone(), cluster.plan(), Arc::new(rooms.clone()));
    let listed = Arc::<Waiting>::default();
    let list = Arc::clone(&listed);
    let waiting: web::members::Waiting =
        Arc::new(move |jid| list.list(jid).into_iter().map(seen).collect());
    let members = web::Members { router, plan, peers, federation, rooms, waiting };
    members.serve();
    (members, listed)
}

/// A session that waits to be resumed, as it is listed among the others.
fn seen(detached: Detached) -> Seen {
    let Detached { id, jid, since, until } = detached;
    Seen { id, jid, address: String::new(), since, idle: false, until: Some(until) }
}

/// Where browsers are sent: to what the configuration says, or to the domain and the port of HTTPS.
fn landing(config: &Config, port: Arc<AtomicU16>) -> Landing {
    let url = config.web.url.trim_end_matches('/').to_owned();
    Arc::new(move |domain| match (url.is_empty(), port.load(Ordering::Relaxed)) {
        (false, _) => Some(url.clone()),
        (true, 0) => None,
        (true, 443) => Some(format!("https://{domain}")),
        (true, port) => Some(format!("https://{domain}:{port}")),
    })
}
