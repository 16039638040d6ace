//! Owns the way out: everything that is kept of an account, piece by piece, so that no archive has to fit into
//! memory. Sessions, and what others were told last, are no part of it.

use archive::Ids;
use auth::Account;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use store::{ArchiveId, ArchiveQuery, ArchiveRow, Fence, Key, Kind, Row, SharedStore, Slice};
use xmpp::{BareJid, Element, delay, ns, writer};

use super::{ARCHIVE, OWN, PIE, PRIVACY, SCRAM};
use crate::extensions::preferences;
use crate::offline::stanza_in;
use crate::roster;

/// Rows that are read together.
const PAGE: usize = 200;

/// Kinds that fit into memory: an account is loaded with them.
const KINDS: &[Kind] = &[
    Kind::Account,
    Kind::Roster,
    Kind::Pending,
    Kind::Block,
    Kind::Setting,
    Kind::Node,
    Kind::Subscription,
    Kind::Item,
];

/// Why an account was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// There is none.
    #[error("there is no account {0}")]
    Missing(BareJid),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Whoever takes the pieces takes no more.
    #[error("the export was given up")]
    GivenUp,
}

/// Where an account is kept, and by what right it is read.
#[derive(Clone)]
pub struct Source {
    /// The store.
    pub store: SharedStore,
    /// The right.
    pub fence: Fence,
    /// Whose rows.
    pub jid: BareJid,
    /// What rows of archives are called.
    pub ids: Ids,
}

/// Takes pieces; false: no more.
pub trait Sink {
    /// Takes the next piece.
    fn take(&mut self, piece: Vec<u8>) -> impl Future<Output = bool> + Send;
}

/// Writes a `<user/>` (§4.2), as a child of a `<host/>`.
///
/// # Errors
/// There is no such account, the store fails, or nobody wants more.
pub async fn export(source: &Source, sink: &mut impl Sink) -> Result<(), ExportError> {
    let Source { store, fence, jid, .. } = source;
    let rows = store.load(*fence, jid.clone(), KINDS).await?;
    let account = rows.iter().find(|row| row.kind == Kind::Account);
    let account = account.ok_or_else(|| ExportError::Missing(jid.clone()))?;
    let mut out = Vec::new();
    writer::open_start(&mut out, "user", PIE, PIE);
    writer::attribute(&mut out, "name", jid.localpart().unwrap_or_default());
    writer::open_end(&mut out);
    for element in of_account(&account.value).into_iter().chain(small(jid, &rows)) {
        element.write(&mut out, PIE);
    }
    let vcard = store.get(*fence, Key::new(jid.clone(), Kind::Vcard, "")).await?;
    out.extend_from_slice(&vcard.unwrap_or_default());
    give(sink, &mut out).await?;
    private(source, sink).await?;
    offline(source, sink).await?;
    items(source, &rows, sink).await?;
    archive(source, sink).await?;
    writer::close(&mut out, "user");
    give(sink, &mut out).await
}

async fn give(sink: &mut impl Sink, out: &mut Vec<u8>) -> Result<(), ExportError> {
    match sink.take(std::mem::take(out)).await {
        true => Ok(()),
        false => Err(ExportError::GivenUp),
    }
}

/// §4.3
fn of_account(row: &[u8]) -> Vec<Element> {
    let Ok(account) = Account::decode(row) else { return Vec::new() };
    let word = |name: &'static str| Element::new(name, SCRAM);
    let keys = account.credentials.verifiers().map(|keys| {
        word("scram-credentials")
            .with_attr("mechanism", keys.mechanism)
            .with_child(word("iter-count").with_text(keys.iterations.to_string()))
            .with_child(word("salt").with_text(STANDARD.encode(&keys.salt)))
            .with_child(word("server-key").with_text(STANDARD.encode(&keys.server_key)))
            .with_child(word("stored-key").with_text(STANDARD.encode(&keys.stored_key)))
    });
    let disabled = || Element::new("account", OWN).with_attr("disabled", "true");
    keys.chain((!account.enabled).then(disabled)).collect()
}

/// §4.4, §4.8, §4.9, §4.10.1; and what has a word in other specifications.
fn small(jid: &BareJid, rows: &[Row]) -> Vec<Element> {
    let mut all = vec![roster::shown(rows)];
    all.extend(roster::requests_in(rows));
    all.extend(blocked(rows));
    all.extend(preferences::in_rows(rows));
    all.extend(nodes::portable::configured(jid, rows));
    all
}

/// As a privacy list that denies (§4.8), and in the word of XEP-0191.
fn blocked(rows: &[Row]) -> Vec<Element> {
    let of = |row: &Row| str::from_utf8(&row.item).ok().map(str::to_owned);
    let jids = rows.iter().filter(|row| row.kind == Kind::Block).filter_map(of);
    let jids: Vec<String> = jids.collect();
    if jids.is_empty() {
        return Vec::new();
    }
    let word = |name: &'static str| Element::new(name, PRIVACY);
    let denied = (1..).zip(&jids).map(|(order, jid): (u32, _)| {
        word("item")
            .with_attr("type", "jid")
            .with_attr("value", jid)
            .with_attr("action", "deny")
            .with_attr("order", order.to_string())
    });
    let list = word("list").with_attr("name", "blocked").with_children(denied);
    let default = word("default").with_attr("name", "blocked");
    let item = |jid: &String| Element::new("item", ns::BLOCKING).with_attr("jid", jid);
    vec![
        Element::new("query", PRIVACY).with_child(default).with_child(list),
        Element::new("blocklist", ns::BLOCKING).with_children(jids.iter().map(item)),
    ]
}

/// §4.6
async fn private(source: &Source, sink: &mut impl Sink) -> Result<(), ExportError> {
    let mut out = Vec::new();
    let mut after = None;
    loop {
        let rows = page(source, Kind::Private, after).await?;
        for row in &rows {
            if out.is_empty() {
                writer::open_start(&mut out, "query", ns::PRIVATE, PIE);
                writer::open_end(&mut out);
            }
            out.extend_from_slice(&row.value);
        }
        if rows.len() < PAGE {
            break;
        }
        after = rows.last().map(|row| row.item.clone());
    }
    if out.is_empty() {
        return Ok(());
    }
    writer::close(&mut out, "query");
    give(sink, &mut out).await
}

/// §4.5. Oldest first, as the rows are.
async fn offline(source: &Source, sink: &mut impl Sink) -> Result<(), ExportError> {
    let mut out = Vec::new();
    writer::open_start(&mut out, "offline-messages", PIE, PIE);
    writer::open_end(&mut out);
    let mut after = None;
    loop {
        let rows = page(source, Kind::Offline, after).await?;
        rows.iter().for_each(|row| out.extend_from_slice(stanza_in(&row.value)));
        give(sink, &mut out).await?;
        if rows.len() < PAGE {
            break;
        }
        after = rows.last().map(|row| row.item.clone());
    }
    writer::close(&mut out, "offline-messages");
    give(sink, &mut out).await
}

/// §4.10.2
async fn items(source: &Source, rows: &[Row], sink: &mut impl Sink) -> Result<(), ExportError> {
    let Source { store, fence, jid, .. } = source;
    let listed = nodes::portable::items(jid, rows);
    if listed.is_empty() {
        return Ok(());
    }
    let mut out = Vec::new();
    writer::open_start(&mut out, "pubsub", ns::PUBSUB, PIE);
    writer::open_end(&mut out);
    for (node, items) in listed {
        writer::open_start(&mut out, "items", ns::PUBSUB, ns::PUBSUB);
        writer::attribute(&mut out, "node", &node);
        writer::open_end(&mut out);
        for (id, payload) in items {
            let payload = store.get(*fence, payload).await?.unwrap_or_default();
            writer::open_start(&mut out, "item", ns::PUBSUB, ns::PUBSUB);
            writer::attribute(&mut out, "id", &id);
            writer::open_end(&mut out);
            out.extend_from_slice(&payload);
            writer::close(&mut out, "item");
            give(sink, &mut out).await?;
        }
        writer::close(&mut out, "items");
    }
    writer::close(&mut out, "pubsub");
    give(sink, &mut out).await
}

/// §4.11. In order of time.
async fn archive(source: &Source, sink: &mut impl Sink) -> Result<(), ExportError> {
    let Source { store, fence, jid, ids } = source;
    let mut out = Vec::new();
    writer::open_start(&mut out, "archive", ARCHIVE, PIE);
    writer::open_end(&mut out);
    let mut last: Option<ArchiveId> = None;
    loop {
        let slice = last.map_or(Slice::First, Slice::After);
        let query = ArchiveQuery { slice, limit: PAGE, ..ArchiveQuery::default() };
        let page = store.query(*fence, jid.clone(), query).await?;
        for row in &page.rows {
            result(&mut out, row, ids);
        }
        give(sink, &mut out).await?;
        last = page.rows.last().map(|row| row.id).or(last);
        if page.complete || page.rows.is_empty() {
            break;
        }
    }
    writer::close(&mut out, "archive");
    give(sink, &mut out).await
}

fn result(out: &mut Vec<u8>, row: &ArchiveRow, ids: &Ids) {
    writer::open_start(out, "result", ns::MAM, ARCHIVE);
    writer::attribute(out, "id", &ids.write(row.id));
    writer::open_end(out);
    writer::open_start(out, "forwarded", ns::FORWARD, ns::MAM);
    writer::open_end(out);
    delay::element(None, row.id.0).write(out, ns::FORWARD);
    out.extend_from_slice(&row.stanza);
    writer::close(out, "forwarded");
    writer::close(out, "result");
}

async fn page(
    source: &Source,
    kind: Kind,
    after: Option<bytes::Bytes>,
) -> Result<Vec<Row>, store::Error> {
    let Source { store, fence, jid, .. } = source;
    store.scan(*fence, jid.clone(), kind, after, PAGE).await
}
