//! Owns a member's part in the plan: it comes up, and it comes back as a new process when it was expelled and
//! lives.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{interval, sleep, timeout};

use super::net::{CallError, Net};
use crate::ask::Ask;
use crate::lease::handle::Lease;
use crate::plan::Status;
use crate::progress::Progress;
use crate::raft::driver::Command;

/// How often it is looked whether something is to be done.
const PACE: Duration = Duration::from_millis(100);

/// Between attempts to come up.
const PAUSE: Duration = Duration::from_millis(200);

/// So many refusals are meant.
const MAX_REFUSALS: u32 = 25;

/// How long one question to the leader may take.
const ASK_PATIENCE: Duration = Duration::from_secs(3);

/// After so long a member asks to be let in though it does not reach all who take part: its plan may be an old one.
const RELENT: Duration = Duration::from_secs(300);

/// How this process stands in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It takes part.
    In,
    /// It is let in, or an earlier process of it takes part.
    Coming,
    /// It is not in.
    Out,
}

/// How this process stands in the plan.
pub(crate) fn place(net: &Net) -> Place {
    let (plan, me) = (net.plan(), net.me());
    match plan.member(me.id) {
        None => Place::Out,
        Some(known) if known.status == Status::Expelled => Place::Out,
        Some(known) if known.status == Status::Joining => Place::Coming,
        Some(known) if known.info.incarnation < me.incarnation => Place::Coming,
        Some(_) => Place::In,
    }
}

/// Comes up, whatever it takes.
///
/// # Errors
///
/// The cluster refuses this member.
pub(crate) async fn come_up(net: &Net, progress: &Progress) -> Result<(), CallError> {
    let mut refusals = 0;
    progress.waits_for(
        "no leader has answered yet; more than half of the voters must be there".to_owned(),
    );
    loop {
        if is_expelled(net) {
            renew(net).await;
        }
        if place(net) == Place::Out {
            drop(timeout(RELENT, until_all_are_reached(net)).await);
        }
        let me = net.me();
        // Its own plan may be an old one: the leader is asked in any case where it is not in.
        let asked = match place(net) {
            Place::In => return Ok(()),
            Place::Out => net.ask(Ask::Join(me), ASK_PATIENCE).await,
            Place::Coming => match net.ask(Ask::Up(me.clone()), ASK_PATIENCE).await {
                // Expelled meanwhile, and not told.
                Err(CallError::Refused(_)) => net.ask(Ask::Join(me), ASK_PATIENCE).await,
                asked => asked,
            },
        };
        match asked {
            // One that comes twice is refused the second time: its own plan tells what is so.
            Err(CallError::Refused(why)) if refusals >= MAX_REFUSALS => {
                return Err(CallError::Refused(why));
            }
            Err(error) => {
                refusals += u32::from(matches!(error, CallError::Refused(_)));
                progress.waits_for(match &error {
                    CallError::Refused(why) => {
                        format!("the cluster does not let this member take part: {why}")
                    }
                    error => format!("no leader lets this member take part: {}", error.words()),
                });
            }
            Ok(()) => {}
        }
        sleep(PAUSE).await;
    }
}

/// Brings this member back whenever it is expelled. One that has no lease and is still in goes on waiting: it acts for
/// nobody, and what it knows is what its clients will need if it was only late.
pub(crate) async fn run(net: Net, lease: Lease) {
    // Told by what it waits for when it starts; later readiness says that it has no lease.
    let progress = Progress::default();
    let mut paces = interval(PACE);
    loop {
        paces.tick().await;
        if lease.is_over() {
            // It has left.
            return;
        }
        if lease.holds() || place(&net) == Place::In {
            continue;
        }
        let over = async {
            while !lease.is_over() {
                sleep(PACE).await;
            }
        };
        tokio::select! {
            came = come_up(&net, &progress) => if let Err(error) = came {
                tracing::warn!(%error, "could not come back");
            },
            () = over => return,
        }
    }
}

/// Waits until this member reaches all who take part: it would be parted from them again.
async fn until_all_are_reached(net: &Net) {
    let missing = || net.shared.senses.reach(|reach| reach.missing(&net.plan(), net.me().id));
    let mut told = None;
    while let Some(missing) = missing() {
        if told.replace(missing) != Some(missing) {
            tracing::info!(peer = %missing, "does not come in before it reaches all others");
        }
        sleep(PACE).await;
    }
}

/// Whether this very process was expelled.
fn is_expelled(net: &Net) -> bool {
    let (plan, me) = (net.plan(), net.me());
    plan.member(me.id).is_some_and(|known| {
        known.status == Status::Expelled && known.info.incarnation >= me.incarnation
    })
}

/// Becomes a new process for the others: what this one held is not its own any more.
async fn renew(net: &Net) {
    let (sender, receiver) = oneshot::channel();
    net.tell(Command::Renew(sender));
    if let Ok(incarnation) = receiver.await {
        tracing::warn!("was expelled; comes back as incarnation {incarnation}");
        net.renewed(incarnation);
    }
}
