//! Owns `rookery room`: through a running server.

use std::io::Write;

use clap::Subcommand;
use serde::Serialize;
use web::administration::PAGE;
use web::rooms::orders::{NewRoom, Setting, Settings};
use web::rooms::people::{NewAffiliation, Person};
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
    /// Make a room that stays
    Create {
        /// name@service, such as coven@conference.example.org
        jid: String,
        /// Who owns it
        #[arg(long, required = true)]
        owner: Vec<String>,
        /// Its settings, such as membersonly=1; of several values: getmemberlist=moderator,member
        settings: Vec<String>,
    },
    /// Show all settings of a room
    Settings {
        /// name@service, such as coven@conference.example.org
        jid: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Change settings of a room
    Set {
        /// name@service, such as coven@conference.example.org
        jid: String,
        /// Such as membersonly=1; of several values: getmemberlist=moderator,member
        #[arg(required = true)]
        settings: Vec<String>,
    },
    /// List owners, admins, members and banned people of a room
    Affiliations {
        /// name@service, such as coven@conference.example.org
        jid: String,
        /// Only owner, admin, member or outcast
        #[arg(long)]
        affiliation: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make somebody owner, admin, member or outcast of a room, or none
    Affiliate {
        /// name@service, such as coven@conference.example.org
        jid: String,
        /// name@domain
        who: String,
        /// owner, admin, member, outcast, or none
        affiliation: String,
        /// What they are told
        #[arg(long)]
        reason: Option<String>,
    },
    /// List who is in a room
    Occupants {
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
        Command::Create { jid, owner, settings } => {
            let new = NewRoom { jid, owners: owner, settings: pairs(&settings)? };
            Client::need(&config.data_dir)?.send("POST", "/api/v1/rooms", Some(&new))
        }
        Command::Settings { jid, json } => {
            let rows: Vec<Setting> = Client::need(&config.data_dir)?.get(&of(&jid, "settings"))?;
            print(&rows, json, |row| {
                let Setting { name, label, values, .. } = row;
                format!("{name:24}{}  # {label}", values.join(","))
            })
        }
        Command::Set { jid, settings } => {
            let (client, settings) = (Client::need(&config.data_dir)?, pairs(&settings)?);
            client.send("PATCH", &of(&jid, "settings"), Some(&settings))
        }
        Command::Affiliations { jid, affiliation, json } => {
            let which = affiliation.map(|it| format!("?affiliation={}", segment(&it)));
            let path = of(&jid, "affiliations") + &which.unwrap_or_default();
            let rows: Vec<Person> = Client::need(&config.data_dir)?.get(&path)?;
            print(&rows, json, |row| {
                let words = [row.nick.as_deref(), row.reason.as_deref()];
                let words: Vec<&str> = words.into_iter().flatten().collect();
                format!("{:8}  {}  {}", row.affiliation, row.jid, words.join("  "))
            })
        }
        Command::Affiliate { jid, who, affiliation, reason } => {
            let path = format!("{}/{}", of(&jid, "affiliations"), segment(&who));
            let new = NewAffiliation { affiliation, reason };
            Client::need(&config.data_dir)?.send("PUT", &path, Some(&new))
        }
        Command::Occupants { jid, json } => {
            let rows: Vec<Person> = Client::need(&config.data_dir)?.get(&of(&jid, "occupants"))?;
            print(&rows, json, |row| {
                let role = row.role.as_deref().unwrap_or("none");
                let nick = row.nick.as_deref().unwrap_or_default();
                format!("{role:11}  {:8}  {}  {nick}", row.affiliation, row.jid)
            })
        }
        Command::Destroy { jid, reason } => {
            let client = Client::need(&config.data_dir)?;
            let why = reason.map(|it| format!("?reason={}", segment(&it))).unwrap_or_default();
            let path = format!("/api/v1/rooms/{}{why}", segment(&jid));
            client.send("DELETE", &path, None::<&()>)
        }
    }
}

/// The path of something of a room.
fn of(jid: &str, what: &str) -> String {
    format!("/api/v1/rooms/{}/{what}", segment(jid))
}

/// Settings as they are written on a command line.
fn pairs(settings: &[String]) -> anyhow::Result<Settings> {
    let pair = |text: &String| {
        let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        pair.ok_or_else(|| anyhow::anyhow!("{text:?} is no setting: write it as name=value"))
    };
    settings.iter().map(pair).collect()
}

/// Rows of an answer, as they come or each as a line.
fn print<T: Serialize>(rows: &[T], json: bool, line: impl Fn(&T) -> String) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(rows)?)?;
        return Ok(());
    }
    for row in rows {
        writeln!(out, "{}", line(row).trim_end())?;
    }
    Ok(())
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
