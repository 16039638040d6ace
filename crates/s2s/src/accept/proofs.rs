//! Owns what a visit waits for before it handles an event: what is to be known of a domain beyond its certificate. Only
//! the one who says that it is from there waits.

use stream::Event;

use super::Visit;

impl Visit {
    /// Looks for what the machine must know before it handles an event.
    pub(super) async fn look_up(&mut self, event: &Event) {
        let Some(domain) = self.machine.wonders_about(event) else { return };
        let hall = std::rc::Rc::clone(&self.hall);
        let looking = async {
            let _turn = hall.questions.acquire().await.ok()?;
            hall.dialer.look_up(domain.as_str(), &self.chain).await
        };
        let found = tokio::time::timeout(hall.patience, Box::pin(looking)).await;
        let proof = found.unwrap_or_else(|_| Some(Err("DNS did not answer in time".to_owned())));
        if let Some(Err(why)) = &proof {
            tracing::info!(peer = domain.as_str(), error = why, "a server is not believed");
        }
        self.machine.learn(&domain, proof);
    }
}
