//! Owns reading rows and listing owners.

use bytes::Bytes;
use xmpp::BareJid;

use super::encoding;
use super::tables::{Table, Tables, damaged};
use crate::Error;
use crate::key::{Key, Kind, Row};

pub(super) fn get(tables: &Tables, key: &Key) -> Result<Option<Bytes>, Error> {
    let name = encoding::row(&key.owner, key.kind, &key.item);
    let value = tables.view().get(Table::Rows, &name)?;
    Ok(value.map(|value| Bytes::copy_from_slice(&value)))
}

pub(super) fn load(tables: &Tables, owner: &BareJid, kinds: &[Kind]) -> Result<Vec<Row>, Error> {
    let view = tables.view();
    let mut rows = Vec::new();
    for kind in Kind::ALL.iter().copied().filter(|kind| kinds.contains(kind)) {
        let from = encoding::row(owner, kind, &[]);
        let prefix = from.len();
        for entry in view.range(Table::Rows, from, encoding::behind_kind(owner, kind)) {
            rows.push(row(kind, prefix, entry?));
        }
    }
    Ok(rows)
}

pub(super) fn scan(
    tables: &Tables,
    owner: &BareJid,
    kind: Kind,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Row>, Error> {
    let mut from = encoding::row(owner, kind, after.unwrap_or_default());
    if after.is_some() {
        // The next name there can be.
        from.push(0);
    }
    let prefix = encoding::owner(owner).len() + 1;
    tables
        .view()
        .range(Table::Rows, from, encoding::behind_kind(owner, kind))
        .take(limit)
        .map(|entry| Ok(row(kind, prefix, entry?)))
        .collect()
}

fn row(kind: Kind, prefix: usize, (name, value): (fjall::Slice, fjall::Slice)) -> Row {
    Row {
        kind,
        item: Bytes::copy_from_slice(name.get(prefix..).unwrap_or_default()),
        value: Bytes::copy_from_slice(&value),
    }
}

/// Goes from owner to owner, with at most three looks into the table for each.
pub(super) fn owners(
    tables: &Tables,
    kind: Kind,
    after: Option<&BareJid>,
    limit: usize,
) -> Result<Vec<BareJid>, Error> {
    let view = tables.view();
    let mut owners = Vec::new();
    // Behind the rows that belong to nobody.
    let mut from = after.map_or_else(|| vec![1], |after| encoding::behind_owner(after.as_str()));
    while owners.len() < limit {
        let Some(name) = view.names(Table::Rows, from, vec![u8::MAX]).next().transpose()? else {
            break;
        };
        let (owner, rest) = encoding::split(&name).ok_or_else(|| damaged("a row's name"))?;
        let found = rest.first().copied().unwrap_or_default();
        let owner_jid = BareJid::parse(owner);
        from = encoding::behind_owner(owner);
        match owner_jid {
            Ok(owner) if found < kind as u8 => from = encoding::row(&owner, kind, &[]),
            Ok(owner) if found == kind as u8 => owners.push(owner),
            Ok(_) => {}
            // Nobody can be addressed by it.
            Err(error) => tracing::warn!(%error, "an owner's name in the store is no address"),
        }
    }
    Ok(owners)
}

/// Goes from owner to owner, whatever they have.
pub(super) fn everyone(
    tables: &Tables,
    after: Option<&BareJid>,
    limit: usize,
) -> Result<Vec<BareJid>, Error> {
    let view = tables.view();
    let mut owners = Vec::new();
    let mut from = after.map_or_else(|| vec![1], |after| encoding::behind_owner(after.as_str()));
    while owners.len() < limit {
        let mut next = Vec::new();
        for table in [Table::Rows, Table::Archive] {
            next.extend(view.names(table, from.clone(), vec![u8::MAX]).next().transpose()?);
        }
        let Some(name) = next.into_iter().min() else { break };
        let (owner, _) = encoding::split(&name).ok_or_else(|| damaged("a row's name"))?;
        from = encoding::behind_owner(owner);
        match BareJid::parse(owner) {
            Ok(owner) => owners.push(owner),
            Err(error) => tracing::warn!(%error, "an owner's name in the store is no address"),
        }
    }
    Ok(owners)
}
