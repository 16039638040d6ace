//! Owns the border between the group and whatever carries words between members.

use bytes::Bytes;
use proto::MemberId;
use tokio::sync::mpsc;

use super::driver::Command;
use crate::lease::{Grant, Heartbeat};

/// Where a grant goes; dropped where there is none.
pub type Answer = Box<dyn FnOnce(Grant) + Send>;

/// Carries words to other members. Neither function waits: what cannot be sent now is dropped, and Raft
/// and leases ask again.
pub trait Transport: Send + 'static {
    /// Sends a Raft message, which is opaque here. Answers false where it is known not to arrive.
    fn send(&mut self, to: MemberId, message: Bytes) -> bool;

    /// Sends a heartbeat to the leader.
    fn heartbeat(&mut self, leader: MemberId, heartbeat: Heartbeat, answer: Answer);
}

/// The transport of a member alone: there is nobody to send to.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Transport for Alone {
    fn send(&mut self, _: MemberId, _: Bytes) -> bool {
        false
    }

    fn heartbeat(&mut self, _: MemberId, _: Heartbeat, _: Answer) {}
}

/// Where the words of other members come in. Whoever puts them there has proven who they are from. What
/// finds no room is dropped, as on the way here.
#[derive(Clone)]
pub struct Inbox {
    commands: mpsc::Sender<Command>,
}

impl Inbox {
    pub(crate) fn new(commands: mpsc::Sender<Command>) -> Self {
        Self { commands }
    }

    /// A Raft message of another member.
    pub fn raft(&self, from: MemberId, message: Bytes) {
        self.put(Command::Step(from, message));
    }

    /// A heartbeat of another member, for this one to answer if it leads.
    pub fn heartbeat(&self, heartbeat: Heartbeat, answer: Answer) {
        self.put(Command::Heartbeat(heartbeat, answer));
    }

    /// What was sent to this member did not arrive.
    pub fn unreachable(&self, member: MemberId) {
        self.put(Command::Unreachable(member));
    }

    fn put(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            tracing::debug!("dropped a word of another member: the group is busy or gone");
        }
    }
}
