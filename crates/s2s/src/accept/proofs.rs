//! Owns what a visit waits for before it handles an event: what is to be known of a domain beyond its certificate. Only
//! the one who says that it is from there waits.

use stream::Event;

use super::Visit;

impl Visit {
    /// Looks for what the machine must know before it handles an event.
    pub(super) async fn look_up(&mut self, event: &Event) {
        let Some(domain) = self.machine.wonders_about(event) else { return };
        let inbound = std::rc::Rc::clone(&self.inbound);
        let looking = Box::pin(inbound.dialer.look_up(domain.as_str(), &self.chain));
        let looking = inbound.questions.in_turn(self.address, looking);
        // A stranger gains no time by naming ever more domains.
        let most = if self.machine.is_proved() { inbound.patience } else { self.left() };
        let found = tokio::time::timeout(most, looking).await;
        let proof = found.unwrap_or_else(|_| Some(Err("DNS did not answer in time".to_owned())));
        self.machine.learn(&domain, proof);
    }
}
