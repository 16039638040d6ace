//! Requests before log-in, on the store that forgets.

use meter::clock::unix_seconds;
use xmpp::Head;

use super::*;
use crate::accounts::tests::accounts;

fn domain() -> BareJid {
    BareJid::parse("capulet.example").unwrap()
}

struct Stage {
    registrar: Arc<Registrar>,
    visit: Visit,
}

impl Stage {
    fn new(admission: Admission) -> Self {
        let admissions = BTreeMap::from([(domain(), admission)]);
        let registrar = Registrar::new(accounts(), Policy::default(), admissions, true);
        Self { registrar: Arc::new(registrar), visit: Visit::default() }
    }

    async fn ask(&mut self, ty: IqType, content: &str) -> Result<(), StanzaCondition> {
        let head =
            Head { kind: Kind::Iq(ty), id: Some("1".into()), from: None, to: None, lang: None };
        let request = Stanza::build(head, &[Element::parse(content.as_bytes()).unwrap()]);
        let stranger = Stranger { address: IpAddr::from([192, 0, 2, 1]), domain: domain() };
        let mut visit = self.visit.clone();
        let answer = self.registrar.judge(&mut visit, &stranger, &request).await;
        self.visit = visit;
        answer.map(drop).map_err(|error| error.condition)
    }

    async fn register(&mut self, name: &str) -> Result<(), StanzaCondition> {
        let content = format!(
            "<query xmlns='jabber:iq:register'><username>{name}</username>\
             <password>r0m30myr0m30</password></query>"
        );
        self.ask(IqType::Set, &content).await
    }

    async fn show(&mut self, token: &str) -> Result<(), StanzaCondition> {
        let content = format!("<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>");
        self.ask(IqType::Set, &content).await
    }

    async fn invite(&self, name: Option<&str>) -> String {
        let invitation = Invitation {
            domain: domain().to_string(),
            inviter: None,
            account: true,
            name: name.map(str::to_owned),
            befriends: false,
            registers: true,
            uses: 1,
            created: unix_seconds(),
            expires: unix_seconds() + 100,
        };
        self.registrar.accounts.invite(&invitation).await.unwrap()
    }
}

// XEP-0077 §3.1, §3.1.1
#[tokio::test]
async fn a_name_is_registered_once_and_a_stream_registers_one() {
    let mut stage = Stage::new(Admission::Open);
    assert_eq!(stage.register("Juliet").await, Ok(()));
    assert_eq!(stage.register("rosaline").await, Err(StanzaCondition::NotAcceptable));
    stage.visit = Visit::default();
    assert_eq!(stage.register("juliet").await, Err(StanzaCondition::Conflict));
    let half = "<query xmlns='jabber:iq:register'><username>nurse</username></query>";
    assert_eq!(stage.ask(IqType::Set, half).await, Err(StanzaCondition::NotAcceptable));
    let remove = "<query xmlns='jabber:iq:register'><remove/></query>";
    assert_eq!(stage.ask(IqType::Set, remove).await, Err(StanzaCondition::UnexpectedRequest));
}

#[tokio::test]
async fn nobody_registers_where_it_is_closed() {
    let mut stage = Stage::new(Admission::Closed);
    assert_eq!(stage.register("juliet").await, Err(StanzaCondition::ServiceUnavailable));
    let token = stage.invite(None).await;
    assert_eq!(stage.show(&token).await, Err(StanzaCondition::ServiceUnavailable));
}

// XEP-0445 §4
#[tokio::test]
async fn who_is_invited_registers_once_and_a_refusal_does_not_use_the_invitation_up() {
    let mut stage = Stage::new(Admission::Invite);
    assert_eq!(stage.register("juliet").await, Err(StanzaCondition::NotAllowed));
    let token = stage.invite(None).await;
    assert_eq!(stage.show("guess").await, Err(StanzaCondition::ItemNotFound));
    assert_eq!(stage.show(&token).await, Ok(()));
    assert_eq!(stage.register("admin").await, Err(StanzaCondition::NotAcceptable));
    assert_eq!(stage.register("juliet").await, Ok(()));
    let mut second = Stage { registrar: Arc::clone(&stage.registrar), visit: Visit::default() };
    assert_eq!(second.show(&token).await, Err(StanzaCondition::ItemNotFound));
}

// XEP-0445 §4, §5
#[tokio::test]
async fn a_token_that_was_shown_in_time_is_good_for_one_of_two_who_showed_it() {
    let mut first = Stage::new(Admission::Invite);
    let token = first.invite(Some("juliet")).await;
    let mut second = Stage { registrar: Arc::clone(&first.registrar), visit: Visit::default() };
    assert_eq!((first.show(&token).await, second.show(&token).await), (Ok(()), Ok(())));
    assert_eq!(first.register("rosaline").await, Err(StanzaCondition::NotAllowed));
    assert_eq!(first.register("juliet").await, Ok(()));
    assert_eq!(second.register("juliet").await, Err(StanzaCondition::ItemNotFound));
}

// XEP-0445 §5
#[tokio::test]
async fn a_promised_name_is_nobody_elses() {
    let mut stage = Stage::new(Admission::Open);
    stage.invite(Some("juliet")).await;
    assert_eq!(stage.register("juliet").await, Err(StanzaCondition::Conflict));
}

#[tokio::test]
async fn guesses_and_tries_of_an_address_are_counted_together() {
    let mut stage = Stage::new(Admission::Open);
    for _ in 0..4 {
        assert_eq!(stage.show("guess").await, Err(StanzaCondition::ItemNotFound));
    }
    assert_eq!(stage.register("juliet").await, Ok(()));
    assert_eq!(stage.show("guess").await, Err(StanzaCondition::ResourceConstraint));
    stage.visit = Visit::default();
    assert_eq!(stage.register("nurse").await, Err(StanzaCondition::ResourceConstraint));
}
