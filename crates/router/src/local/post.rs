//! Owns what an arbiter does with what other threads have put into its inbox.

use super::{Local, route};
use crate::inbox::Post;

impl Local {
    /// Takes one thing out of the inbox.
    pub(super) fn hear(&self, post: Post) {
        let links = self.router.links();
        match (post, links) {
            (Post::Envelopes(batch), _) => route(batch),
            (Post::Again(batch), Some(links)) => self.take_back(batch, &links),
            (Post::Refused(envelope, refusal), _) => self.refuse_each(envelope, refusal),
            (Post::Gone(member), _) => self.host.member_gone(member),
            (Post::Announced(word), _) => self.host.announced(word),
            (Post::Look, Some(links)) => {
                self.retry(&links);
                self.host.plan_changed();
            }
            (Post::Again(_) | Post::Look, None) => {}
        }
    }
}
