//! Owns `rookery account invite` and its kin: invitations, through a running server.

use std::io::Write;

use accounts::invitation::InvitationRow;
use clap::Args;
use web::invitations::{MadeInvitation, NewInvitation};
use xmpp::datetime;

use super::client::{Client, segment};
use crate::config::Config;

/// A new invitation.
#[derive(Debug, Args)]
pub(super) struct Invite {
    /// The domain; left out: the first of the configuration
    #[arg(long)]
    domain: Option<String>,
    /// The name that the account must have; nobody else can register it meanwhile
    #[arg(long)]
    name: Option<String>,
    /// An account that becomes a contact of whoever uses the invitation
    #[arg(long, value_name = "JID")]
    contact: Option<String>,
    /// How often it can be used [default: 1]
    #[arg(long)]
    uses: Option<u32>,
    /// Days for which it can be used [default: registration.invitation_days]
    #[arg(long)]
    days: Option<u32>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Makes one; its token is told this once.
pub(super) fn invite(config: &Config, invite: Invite) -> anyhow::Result<()> {
    let Invite { domain, name, contact, uses, days, json } = invite;
    let new = NewInvitation { domain, name, contact, uses, days };
    let client = Client::need(&config.data_dir)?;
    let made: MadeInvitation = client.post("/api/v1/invitations", &new)?;
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&made)?)?;
        return Ok(());
    }
    writeln!(out, "{}", made.uri)?;
    if let Some(page) = made.page {
        writeln!(out, "{page}")?;
    }
    writeln!(out, "until {}", day(made.expires))?;
    Ok(())
}

/// Lists those that can be used.
pub(super) fn list(config: &Config, json: bool) -> anyhow::Result<()> {
    let rows: Vec<InvitationRow> = Client::need(&config.data_dir)?.get("/api/v1/invitations")?;
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        return Ok(());
    }
    for InvitationRow { id, invitation, used } in rows {
        let (domain, uses) = (&invitation.domain, invitation.uses);
        let name = invitation.name.map(|name| format!("{name}@")).unwrap_or_default();
        let by = invitation.inviter.map(|inviter| format!("  by {inviter}")).unwrap_or_default();
        let until = day(invitation.expires);
        writeln!(out, "{id}  {name}{domain}  used {used} of {uses}  until {until}{by}")?;
    }
    Ok(())
}

/// Removes one.
pub(super) fn remove(config: &Config, id: &str) -> anyhow::Result<()> {
    let rows: Vec<InvitationRow> = Client::need(&config.data_dir)?.get("/api/v1/invitations")?;
    let row = rows.into_iter().find(|row| row.id == id);
    let row = row.ok_or_else(|| anyhow::anyhow!("there is no invitation {id}"))?;
    let path = format!("/api/v1/invitations/{}/{}", segment(&row.invitation.domain), segment(id));
    Client::need(&config.data_dir)?.send("DELETE", &path, None::<&()>)
}

fn day(seconds: u64) -> String {
    datetime::format_seconds(seconds.saturating_mul(1_000_000))
}
