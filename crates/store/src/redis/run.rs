//! Owns one pipeline: a group of items goes to one server in order, with what makes them durable behind them,
//! and every item gets a verdict.

use std::sync::Arc;

use redis::{Pipeline, Value};
use xmpp::Epoch;

use super::link::{Fault, Link, call, load_scripts};
use super::shared::Shared;
use super::work::{Item, MORE};
use super::{engine, levels, names};
use crate::Error;

/// What became of an item.
pub(super) enum Verdict {
    /// It is done and as durable as was asked for.
    Done(u64),
    /// Its epoch was superseded by this one.
    Fenced(u64),
    /// The bucket does not remember what was claimed; perhaps it remembers nothing at all.
    Forgotten { nothing: bool },
    /// It was not done, and will not be.
    Refused(Error),
    /// It was not done, or nobody knows: it must be done again.
    Again,
}

/// What became of a group.
pub(super) struct Ran {
    pub(super) items: Vec<(Item, Verdict)>,
    /// None where the connection is of no more use.
    pub(super) link: Option<Box<Link>>,
    /// Why some items must be done again.
    pub(super) trouble: Option<Fault>,
}

/// Sends a group.
pub(super) async fn run(mut link: Box<Link>, items: Vec<Item>, shared: Arc<Shared>) -> Ran {
    let mut pipeline = Pipeline::new();
    for item in &items {
        pipeline.add_command(item.command(&link.scripts, claimed(item, &shared)));
    }
    let level = shared.config.durability;
    if let Some(first) = items.first() {
        levels::follow(&mut pipeline, &link, level, first.bucket);
    }
    match call(&mut link.write, &pipeline).await {
        Ok(answers) => judge(link, items, answers, &shared).await,
        Err(fault) => lost(items, fault),
    }
}

/// The epoch that the bucket must remember for an item.
fn claimed(item: &Item, shared: &Shared) -> Option<Epoch> {
    let claimed = shared.claimed(item.bucket)?;
    Some(claimed.epoch)
}

/// Nobody knows what was done.
fn lost(items: Vec<Item>, fault: Fault) -> Ran {
    let again = |mut item: Item| {
        item.is_sent = true;
        (item, Verdict::Again)
    };
    Ran { items: items.into_iter().map(again).collect(), link: None, trouble: Some(fault) }
}

async fn judge(
    mut link: Box<Link>,
    items: Vec<Item>,
    mut answers: Vec<Value>,
    shared: &Shared,
) -> Ran {
    let waits = answers.split_off(items.len().min(answers.len()));
    let mut trouble = None;
    let mut judged: Vec<(Item, Verdict)> = Vec::with_capacity(items.len());
    for (mut item, answer) in items.into_iter().zip(answers) {
        let verdict = match verdict(&item, answer) {
            Ok(verdict) => verdict,
            Err(fault) => {
                // A script whose slot was on its way may have done a part.
                item.is_sent |= matches!(fault, Fault::Later(_));
                trouble.get_or_insert(fault);
                Verdict::Again
            }
        };
        judged.push((item, verdict));
    }
    if matches!(trouble, Some(Fault::NoScript)) {
        match load_scripts(&mut link.write).await {
            Ok(scripts) => link.scripts = scripts,
            Err(fault) => trouble = Some(fault),
        }
    }
    let level = shared.config.durability;
    if judged.iter().any(|(_, verdict)| matches!(verdict, Verdict::Done(_)))
        && let Err(fault) = levels::confirm(&mut link, level, waits).await
    {
        for (item, verdict) in &mut judged {
            if matches!(verdict, Verdict::Done(_)) {
                item.is_sent = true;
                *verdict = Verdict::Again;
            }
        }
        trouble = Some(fault);
    }
    let link = (!matches!(trouble, Some(Fault::Lost(_)))).then_some(link);
    Ran { items: judged, link, trouble }
}

fn verdict(item: &Item, answer: Value) -> Result<Verdict, Fault> {
    let answer = match super::link::checked(answer) {
        Ok(answer) => answer,
        // What was done before cannot be refused now.
        Err(Fault::Full | Fault::Refused(_)) if item.is_sent => {
            return Err(Fault::Later("it refuses what it may have done before".to_owned()));
        }
        Err(Fault::Full) => return Ok(Verdict::Refused(Error::Full("the Redis server's memory"))),
        Err(Fault::Refused(told)) => return Ok(Verdict::Refused(engine("wrote", told))),
        Err(fault) => return Err(fault),
    };
    let told = match answer {
        Value::Int(count) => return Ok(Verdict::Done(u64::try_from(count).unwrap_or(0))),
        Value::BulkString(told) => told,
        other => return Ok(Verdict::Refused(engine("wrote", format!("it says {other:?}")))),
    };
    Ok(match told.split_first() {
        Some((b'k', _)) => Verdict::Done(0),
        Some((b'm', _)) => Verdict::Done(MORE),
        Some((b'f', now)) => Verdict::Fenced(names::epoch_of(now).unwrap_or(u64::MAX)),
        Some((b'l', now)) => Verdict::Forgotten { nothing: now.is_empty() },
        _ => Verdict::Refused(engine("wrote", "the script's answer is not known")),
    })
}
