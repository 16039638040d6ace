//! Owns how a member without a plan finds its cluster, or begins one with others that have none.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use futures_util::future::join_all;
use proto::MemberId;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;

use super::names::Names;
use super::net::{CallError, Net, PATIENCE, call, client};
use crate::Error;
use crate::clock::BootTime;
use crate::config::Remembered;
use crate::hash::HashKey;
use crate::member::random;
use crate::plan::codec::info_to_wire;
use crate::plan::{Bootstrap, ClusterUuid, Entry, FEATURE_LEVEL, MemberInfo, Plan};
use crate::wire;

/// With what a member begins that has no log.
pub(crate) enum Beginning {
    /// The first configuration, which all members of it keep.
    Founded(Plan),
    /// The plan of a cluster that lets this member in.
    Joined(Plan),
}

/// Between attempts while nobody answers as hoped.
const PAUSE: Duration = Duration::from_secs(2);

/// After a refusal: an operator has to do something.
const LONG_PAUSE: Duration = Duration::from_secs(30);

/// So many addresses of others are asked.
const MAX_ADDRESSES: usize = 256;

/// Looks until there is a cluster.
///
/// # Errors
///
/// The store that members share failed, or belongs to another cluster.
pub(crate) async fn find(net: &Net, remembered: Option<Remembered>) -> Result<Beginning, Error> {
    let mut told = String::new();
    let names = names(net);
    loop {
        let mut pause = PAUSE;
        for (channel, info, greeting) in greet_all(net, names.as_ref()).await {
            if !greeting.cluster_uuid.is_empty() {
                check_cluster(&greeting, remembered)?;
                match join(net, channel).await {
                    Ok(Some(plan)) => return Ok(Beginning::Joined(plan)),
                    Ok(None) => {}
                    Err(CallError::Refused(why)) => {
                        pause = LONG_PAUSE.min(pause * 2);
                        tell(&mut told, format!("the cluster does not let this member in: {why}"));
                    }
                    Err(error) => tracing::debug!(%error, "could not join"),
                }
                continue;
            }
            lock(net).met(info, &greeting, BootTime::now());
        }
        if let Some(plan) = lock(net).settled() {
            return Ok(Beginning::Founded(plan));
        }
        if let Some(plan) = found(net, remembered).await? {
            return Ok(Beginning::Founded(plan));
        }
        tell(&mut told, "looks for other members".to_owned());
        sleep(pause).await;
        if let Some(plan) = lock(net).settled() {
            return Ok(Beginning::Founded(plan));
        }
    }
}

/// Says something once.
fn tell(told: &mut String, what: String) {
    if *told != what {
        tracing::info!("{what}");
        *told = what;
    }
}

fn lock(net: &Net) -> std::sync::MutexGuard<'_, super::founding::Founding> {
    net.shared.founding.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says hello to everybody at the configured addresses.
async fn greet_all(net: &Net, names: Option<&Names>) -> Vec<(Channel, MemberInfo, wire::Greeting)> {
    let addresses = addresses(net, names).await;
    let greetings = addresses.iter().map(|address| async move {
        match timeout(PATIENCE, net.hello(address)).await {
            Ok(Ok((_, info, _))) if info.id == net.me().id => None,
            Ok(Ok(greeted)) => Some(greeted),
            Ok(Err(error)) => {
                tracing::debug!(peer = address, %error, "nobody was met");
                None
            }
            Err(_) => None,
        }
    });
    let mut met: Vec<_> = join_all(greetings).await.into_iter().flatten().collect();
    let mut ids = BTreeSet::new();
    met.retain(|(_, info, _)| ids.insert(info.id));
    met
}

/// Who looks the common name up, where there is one.
fn names(net: &Net) -> Option<Names> {
    net.shared.mesh.dns.as_ref()?;
    let names = Names::new(&net.shared.mesh.name_servers);
    let names = names.inspect_err(|error| tracing::error!(%error, "no name can be looked up"));
    names.ok()
}

/// The configured addresses but this member's own.
async fn addresses(net: &Net, names: Option<&Names>) -> BTreeSet<String> {
    let mesh = &net.shared.mesh;
    let mut addresses: BTreeSet<String> = mesh.seeds.iter().cloned().collect();
    if let Some((name, names)) = mesh.dns.as_ref().zip(names) {
        match names.addresses(name).await {
            Ok(found) => addresses.extend(found.iter().map(ToString::to_string)),
            Err(error) => {
                tracing::debug!(peer = name, %error, "the name of all members has no address")
            }
        }
    }
    addresses.remove(&net.me().addr);
    addresses.into_iter().take(MAX_ADDRESSES).collect()
}

fn check_cluster(greeting: &wire::Greeting, remembered: Option<Remembered>) -> Result<(), Error> {
    let theirs = greeting.cluster_uuid.as_ref().try_into().map(u128::from_be_bytes);
    match remembered {
        Some(ours) if theirs.is_ok_and(|theirs| theirs != ours.cluster.0) => {
            Err(Error::Foreign(ours.cluster))
        }
        _ => Ok(()),
    }
}

/// Asks whoever is at the other end to be let in. None: not there, or not now.
async fn join(net: &Net, channel: Channel) -> Result<Option<Plan>, CallError> {
    let joining = wire::Joining { member: Some(info_to_wire(&net.me())) };
    let joined = call(client(channel).join(joining), PATIENCE * 4).await?;
    if !joined.refused.is_empty() {
        return Err(CallError::Refused(joined.refused));
    }
    if joined.plan.is_empty() {
        return Ok(None);
    }
    net.hint((joined.leader != 0).then_some(MemberId(joined.leader)));
    let plan = Plan::decode(&joined.plan);
    plan.map(Some).map_err(|error| CallError::Refused(error.to_string()))
}

/// Begins a cluster, if it is for this member to do so now and all others agree.
async fn found(net: &Net, remembered: Option<Remembered>) -> Result<Option<Plan>, Error> {
    let mesh = &net.shared.mesh;
    let first = mesh.seeds.first().is_none_or(|seed| *seed == net.me().addr);
    if mesh.bootstrap_expect == 1 && !first {
        return Ok(None);
    }
    let Some(members) = lock(net).due(BootTime::now()) else {
        return Ok(None);
    };
    let marker = mesh.marker.clone();
    let before = match &marker {
        Some(marker) => marker.recall().map_err(Error::Remembered)?,
        None => remembered,
    };
    let (plan, next) = first_plan(members.clone(), before)?;
    lock(net).propose(plan.clone(), BootTime::now());
    if !tell_all(net, &members, &plan, false).await {
        return Ok(None);
    }
    if let Some(marker) = marker {
        let won = marker.replace(before, next).map_err(Error::Remembered)?;
        if !won {
            tracing::warn!("others have begun a cluster on the same store; looks for it");
            return Ok(None);
        }
    }
    // Who does not hear it joins: this member is in a cluster now.
    tell_all(net, &members, &plan, true).await;
    tracing::info!("begins cluster {} with {} members", plan.cluster(), members.len());
    Ok(Some(plan))
}

/// The plan to begin with, and what is to be remembered of it.
fn first_plan(
    members: Vec<MemberInfo>,
    before: Option<Remembered>,
) -> Result<(Plan, Remembered), Error> {
    let before = match before {
        Some(before) => before,
        None => Remembered {
            cluster: ClusterUuid(u128::from_be_bytes(random()?).max(1)),
            generation: 0,
            hash_key: HashKey::new(random()?),
        },
    };
    let generation = before.generation.checked_add(1).ok_or(Error::Generations)?;
    let mut plan = Plan::new();
    let first = Entry::Bootstrap(Bootstrap {
        cluster: before.cluster,
        generation,
        hash_key: before.hash_key,
        feature_level: FEATURE_LEVEL,
        members,
    });
    plan.apply(1, first).map_err(Error::Refused)?;
    Ok((plan, Remembered { generation, ..before }))
}

/// Tells all others; says whether all have agreed.
async fn tell_all(net: &Net, members: &[MemberInfo], plan: &Plan, settled: bool) -> bool {
    let founding = wire::Founding { plan: plan.encode().into(), settled };
    let others = members.iter().filter(|info| info.id != net.me().id);
    let telling = others.map(|info| {
        let founding = founding.clone();
        async move {
            let channel = net.channel(info.id).await?;
            let promise = call(client(channel).found(founding), PATIENCE).await;
            let promise = promise.inspect_err(|_| net.forget_channel(info.id))?;
            promise.given.then_some(()).ok_or(CallError::Refused(promise.why_not))
        }
    });
    let answers: Vec<Result<(), CallError>> = join_all(telling).await;
    for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        tracing::info!(%error, "a member does not agree to begin a cluster");
    }
    answers.iter().all(Result::is_ok)
}
