//! Owns how a member without a plan finds its cluster, or begins one with others that have none; and how members that have
//! one find each other again where they have come back elsewhere.

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
use crate::lineage::{Lineage, first_plan};
use crate::plan::codec::info_to_wire;
use crate::plan::{ClusterUuid, MemberInfo, Plan};
use crate::progress::Progress;
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

/// What is told while others keep the cluster from beginning anew.
const OTHERS_ACT: &str = "members use the store, or did so within the last minute: looks for them, or waits until that is over";

/// How often it is looked whether another member has begun the cluster.
const LOOK: Duration = Duration::from_millis(50);

/// After a refusal, where an operator has to do something; and between looks while somebody leads.
const LONG_PAUSE: Duration = Duration::from_secs(30);

/// So many addresses of others are asked.
const MAX_ADDRESSES: usize = 256;

/// Looks until there is a cluster.
///
/// # Errors
///
/// The store that members share failed, or belongs to another cluster.
pub(crate) async fn find(
    net: &Net,
    lineage: &Lineage,
    progress: &Progress,
) -> Result<Beginning, Error> {
    let ours = lineage.cluster()?;
    let names = names(net);
    loop {
        let (mut pause, mut refusal) = (PAUSE, None);
        let (met, trouble) = greet_all(net, names.as_ref()).await;
        for (channel, info, greeting) in met {
            if !greeting.cluster_uuid.is_empty() {
                check_cluster(&greeting, ours)?;
                match join(net, channel).await {
                    Ok(Some(plan)) => return Ok(Beginning::Joined(plan)),
                    Ok(None) => {}
                    Err(CallError::Refused(why)) => {
                        pause = LONG_PAUSE.min(pause * 2);
                        refusal = Some(format!("the cluster does not let this member in: {why}"));
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
        let others_act = match found(net, lineage).await? {
            Ok(plan) => return Ok(Beginning::Founded(plan)),
            Err(others_act) => others_act.map(str::to_owned),
        };
        progress.waits_for(refusal.or(others_act).unwrap_or_else(|| {
            let (there, mesh) = (lock(net).there(), &net.shared.mesh);
            let trouble = trouble.map(|trouble| format!("; {trouble}")).unwrap_or_default();
            match mesh.bootstrap_expect {
                1 => format!("looks for a member of the cluster{trouble}"),
                expect => format!(
                    "{there} of {expect} members that are to begin the cluster are there{trouble}"
                ),
            }
        }));
        // Whoever has begun the cluster grants leases already: it is not kept waiting.
        if let Ok(plan) = timeout(pause, until_settled(net)).await {
            return Ok(Beginning::Founded(plan));
        }
    }
}

/// Goes on looking, for ever: where most members come back elsewhere at once, their plans name nobody any more who could
/// say so, and there is no leader. Whoever answers is known to be there from then on.
pub(crate) async fn go_on(net: Net) {
    let names = names(&net);
    let mut standing = net.shared.standing.clone();
    loop {
        drop(greet_all(&net, names.as_ref()).await);
        sleep(PAUSE).await;
        let alone = standing.wait_for(|standing| standing.leader.is_none());
        drop(timeout(LONG_PAUSE, alone).await);
    }
}

/// Waits for the plan that all have promised themselves to.
async fn until_settled(net: &Net) -> Plan {
    loop {
        let settled = lock(net).settled();
        match settled {
            Some(plan) => return plan,
            None => sleep(LOOK).await,
        }
    }
}

fn lock(net: &Net) -> std::sync::MutexGuard<'_, super::founding::Founding> {
    net.shared.founding.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A member that has answered.
type Met = (Channel, MemberInfo, wire::Greeting);

/// Says hello to everybody at the configured addresses; with what kept one of them from answering.
async fn greet_all(net: &Net, names: Option<&Names>) -> (Vec<Met>, Option<String>) {
    let addresses = addresses(net, names).await;
    let greetings = addresses.iter().map(|address| async move {
        match timeout(PATIENCE, net.hello(address)).await {
            Ok(Ok((_, info, _))) if info.id == net.me().id => Err(None),
            Ok(Ok(greeted)) => Ok(greeted),
            Ok(Err(error)) => {
                tracing::debug!(peer = address, %error, "nobody was met");
                Err(Some(format!("{address}: {}", error.words())))
            }
            Err(_) => Err(Some(format!("{address} does not answer"))),
        }
    });
    let (mut met, mut trouble): (Vec<Met>, _) = (Vec::new(), None);
    for greeted in join_all(greetings).await {
        match greeted {
            Ok(greeted) if met.iter().all(|(_, info, _)| info.id != greeted.1.id) => {
                met.push(greeted)
            }
            Ok(_) => {}
            Err(why) => trouble = trouble.or(why),
        }
    }
    (met, trouble)
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

fn check_cluster(greeting: &wire::Greeting, ours: Option<ClusterUuid>) -> Result<(), Error> {
    let theirs = greeting.cluster_uuid.as_ref().try_into().map(u128::from_be_bytes);
    match ours {
        Some(ours) if theirs.is_ok_and(|theirs| theirs != ours.0) => Err(Error::Foreign(ours)),
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

/// Begins a cluster, if it is for this member to do so now and all others agree; else says what keeps it from that,
/// where it is not that others are missing.
async fn found(net: &Net, lineage: &Lineage) -> Result<Result<Plan, Option<&'static str>>, Error> {
    let (mesh, me) = (&net.shared.mesh, net.me());
    let first = mesh.seeds.first().is_none_or(|seed| *seed == me.addr);
    if mesh.bootstrap_expect == 1 && !first {
        return Ok(Err(None));
    }
    let Some(members) = lock(net).due(BootTime::now()) else {
        return Ok(Err(None));
    };
    let Some(before) = lineage.before(None)? else {
        return Ok(Err(Some(OTHERS_ACT)));
    };
    let next = before.next()?;
    let plan = first_plan(next, members.clone())?;
    lock(net).propose(plan.clone(), BootTime::now());
    if !tell_all(net, &members, &plan, false).await {
        return Ok(Err(None));
    }
    if !lineage.begin(&before, next, me.id)? {
        return Ok(Err(Some(OTHERS_ACT)));
    }
    // Who does not hear it joins: this member is in a cluster now.
    tell_all(net, &members, &plan, true).await;
    tracing::info!("begins cluster {} with {} members", plan.cluster(), members.len());
    Ok(Ok(plan))
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
