//! Invitations on the store that forgets.

use super::*;
use crate::accounts::tests::accounts;

fn domain() -> BareJid {
    BareJid::parse("capulet.example").unwrap()
}

fn invitation() -> Invitation {
    Invitation {
        domain: "capulet.example".to_owned(),
        inviter: None,
        account: true,
        name: None,
        befriends: false,
        registers: true,
        uses: 1,
        created: unix_seconds(),
        expires: unix_seconds() + 1_000,
    }
}

#[tokio::test]
async fn an_invitation_can_be_used_as_often_as_it_says() {
    let accounts = accounts();
    let two = Invitation { uses: 2, ..invitation() };
    let token = accounts.invite(&two).await.unwrap();
    assert_eq!(token.len(), TOKEN_LENGTH);
    assert_eq!(accounts.invitation(&domain(), &token).await.unwrap(), Some(two.clone()));
    for _ in 0..2 {
        let claim = accounts.use_invitation(&domain(), &token).await.unwrap().expect("a use");
        accounts.settle_use(&domain(), claim.spend()).await.unwrap();
    }
    assert!(accounts.use_invitation(&domain(), &token).await.unwrap().is_none());
    assert_eq!(accounts.invitation(&domain(), &token).await.unwrap(), None);
    assert_eq!(accounts.invitations(&domain()).await.unwrap(), []);
}

#[tokio::test]
async fn a_use_that_came_to_nothing_is_given_back() {
    let accounts = accounts();
    let token = accounts.invite(&invitation()).await.unwrap();
    let claim = accounts.use_invitation(&domain(), &token).await.unwrap().expect("a use");
    assert!(accounts.use_invitation(&domain(), &token).await.unwrap().is_none());
    accounts.settle_use(&domain(), claim.release()).await.unwrap();
    assert!(accounts.use_invitation(&domain(), &token).await.unwrap().is_some());
}

// XEP-0401 §5.1, §5.4; RFC 5122 §2.7
#[test]
fn an_invitation_is_an_address_that_a_client_opens() {
    let romeo = Some("romeo#1@capulet.example".to_owned());
    let contact = Invitation { inviter: romeo, account: false, ..invitation() };
    assert_eq!(contact.uri("t"), "xmpp:romeo%231@capulet.example?roster;preauth=t;ibr=y");
    let alone = Invitation { registers: false, ..contact };
    assert_eq!(alone.uri("t"), "xmpp:romeo%231@capulet.example?roster;preauth=t");
    assert_eq!(invitation().uri("t"), "xmpp:capulet.example?register;preauth=t");
    let named = Invitation { name: Some("juliet".to_owned()), ..invitation() };
    assert_eq!(named.uri("t"), "xmpp:juliet@capulet.example?register;preauth=t");
}

// XEP-0379 §5.2
#[tokio::test]
async fn an_invitation_expires_and_its_row_goes() {
    let accounts = accounts();
    let token =
        accounts.invite(&Invitation { expires: unix_seconds(), ..invitation() }).await.unwrap();
    assert_eq!(accounts.invitation(&domain(), &token).await.unwrap(), None);
    assert!(accounts.use_invitation(&domain(), &token).await.unwrap().is_some(), "begun before");
    assert_eq!(accounts.invitations(&domain()).await.unwrap(), []);
    assert!(accounts.use_invitation(&domain(), &token).await.unwrap().is_none());
}

#[tokio::test]
async fn what_was_never_made_or_is_for_another_domain_is_no_invitation() {
    let accounts = accounts();
    let token = accounts.invite(&invitation()).await.unwrap();
    let other = BareJid::parse("montague.example").unwrap();
    assert_eq!(accounts.invitation(&other, &token).await.unwrap(), None);
    for guess in ["", "aaaaaaaaaaaaaaaaaaaaaaaaaa", &token[1..], &format!("{token}a")] {
        assert_eq!(accounts.invitation(&domain(), guess).await.unwrap(), None, "{guess}");
    }
}

// XEP-0445 §5
#[tokio::test]
async fn a_name_is_promised_to_one() {
    let accounts = accounts();
    let named = Invitation { name: Some("juliet".to_owned()), ..invitation() };
    let token = accounts.invite(&named).await.unwrap();
    let jid = BareJid::parse("juliet@capulet.example").unwrap();
    assert!(accounts.is_promised(&jid, None).await.unwrap());
    assert!(accounts.is_promised(&jid, Some("another")).await.unwrap());
    assert!(!accounts.is_promised(&jid, Some(&token)).await.unwrap());
    let twice = accounts.invite(&named).await;
    assert!(matches!(twice, Err(InviteError::Taken(_))), "{twice:?}");
    let line = accounts.invitations(&domain()).await.unwrap().remove(0);
    accounts.revoke(&domain(), &line.id).await.unwrap();
    assert!(!accounts.is_promised(&jid, None).await.unwrap());
    assert_eq!(accounts.invitation(&domain(), &token).await.unwrap(), None);
}

#[tokio::test]
async fn one_who_invites_has_a_bound() {
    let accounts = accounts();
    let of = |name: &str| Invitation { inviter: Some(name.to_owned()), ..invitation() };
    for _ in 0..OPEN_MOST_OF_ONE {
        accounts.invite(&of("romeo@capulet.example")).await.unwrap();
    }
    let more = accounts.invite(&of("romeo@capulet.example")).await;
    assert!(matches!(more, Err(InviteError::TooMany(OPEN_MOST_OF_ONE))), "{more:?}");
    assert!(accounts.invite(&of("nurse@capulet.example")).await.is_ok());
}
