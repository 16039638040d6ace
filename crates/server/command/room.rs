//! Owns `rookery room`: through a running server.

use std::io::Write;

use clap::Subcommand;
use web::administration::PAGE;
use web::rooms::{RoomDetail, RoomRow};

use super::client::{Client, segment};
use crate::config::Config;

/// What to do with rooms.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List rooms
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one room
    Show {
        /// name@service, such as coven@conference.example.org
        jid: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// End a room: its occupants are told, its archive is erased
    Destroy {
        /// name@service, such as coven@conference.example.org
        jid: String,
        /// What the occupants are told
        #[arg(long)]
        reason: Option<String>,
    },
}

/// Runs `rookery room`.
pub(super) fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    match command {
        Command::List { json } => list(config, json),
        Command::Show { jid, json } => {
            let client = Client::need(&config.data_dir)?;
            show(&client.get(&format!("/api/v1/rooms/{}", segment(&jid)))?, json)
        }
        Command::Destroy { jid, reason } => {
            let client = Client::need(&config.data_dir)?;
            let why = reason.map(|it| format!("?reason={}", segment(&it))).unwrap_or_default();
            let path = format!("/api/v1/rooms/{}{why}", segment(&jid));
            client.send("DELETE", &path, None::<&()>)
        }
    }
}

fn list(config: &Config, json: bool) -> anyhow::Result<()> {
    let mut rows: Vec<RoomRow> = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/api/v1/rooms?limit={PAGE}{after}");
        let page: Vec<RoomRow> = Client::need(&config.data_dir)?.get(&path)?;
        let Some(last) = page.last() else { break };
        after = format!("&after={}", segment(&last.jid));
        rows.extend(page);
    }
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        return Ok(());
    }
    for row in rows {
        let kept = if row.persistent { "persistent" } else { "temporary" };
        let seen = if row.public { "public" } else { "hidden" };
        let inside = occupants(&row);
        writeln!(out, "{}  {kept}  {seen}  {inside} occupants  {}", row.jid, row.name)?;
    }
    Ok(())
}

/// How many are inside, as far as their member has said.
fn occupants(room: &RoomRow) -> String {
    room.occupants.map_or_else(|| "unknown".to_owned(), |count| count.to_string())
}

fn show(room: &RoomDetail, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(room)?)?;
        return Ok(());
    }
    let yes = |is: bool| if is { "yes" } else { "no" };
    let since = xmpp::datetime::format_seconds(room.created.saturating_mul(1_000_000));
    let rows = [
        ("address", room.row.jid.clone()),
        ("name", room.row.name.clone()),
        ("description", room.description.clone()),
        ("subject", room.subject.clone()),
        ("made by", format!("{} on {since}", room.creator)),
        ("occupants", occupants(&room.row)),
        ("member", room.row.member.clone().unwrap_or_else(|| "none".to_owned())),
        ("persistent", yes(room.row.persistent).to_owned()),
        ("public", yes(room.row.public).to_owned()),
        ("members only", yes(room.members_only).to_owned()),
        ("moderated", yes(room.moderated).to_owned()),
        ("password", yes(room.password_protected).to_owned()),
        ("addresses shown", yes(room.non_anonymous).to_owned()),
        ("archive", yes(room.archived).to_owned()),
        ("owners", room.owners.join(", ")),
        ("admins", room.admins.join(", ")),
        ("members", room.members.to_string()),
        ("banned", room.outcasts.to_string()),
    ];
    for (name, value) in rows {
        writeln!(out, "{name:16}{value}")?;
    }
    Ok(())
}
