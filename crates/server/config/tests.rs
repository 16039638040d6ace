//! What a configuration file may and may not say.

use super::*;

fn parsed(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, "test.toml", &[])
}

fn error(text: &str) -> String {
    parsed(text).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parsed("").unwrap(), Config::default());
}

#[test]
fn the_example_names_every_key_with_its_default() {
    let example = parsed(example::EXAMPLE).unwrap();
    let default = Config { domain: example.domain.clone(), ..Config::default() };
    assert_eq!(example, default);
    named(&toml::Table::try_from(&default).unwrap(), "");
}

/// Every key of a table is in the example, and every table has its head.
fn named(table: &toml::Table, path: &str) {
    for (key, value) in table {
        let inner = value.as_table();
        let head = format!("[{path}{key}]");
        let line = format!("{key} = ");
        let is_there = |text: &str| example::EXAMPLE.contains(text);
        let is_named = match inner {
            Some(inner) if inner.is_empty() => is_there(&head) || is_there(&line),
            Some(_) => is_there(&head),
            None if value.is_array() && path.is_empty() => is_there(&format!("[{head}]")),
            None => is_there(&line),
        };
        assert!(is_named, "{path}{key} is missing");
        if let Some(inner) = inner {
            named(inner, &format!("{path}{key}."));
        }
    }
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_name_and_the_line() {
    let error = error("[limits]\nstanza_byte = 5\n");
    assert!(error.contains("line 2") && error.contains("did you mean `stanza_bytes`?"), "{error}");
}

#[test]
fn values_that_make_no_sense_are_refused() {
    assert!(error("[limits]\nstanza_bytes = 5\n").contains("stanza_bytes"));
    assert!(error("[[domain]]\nname = 'a b'\n").contains("not the name of a domain"));
    assert!(error("[[domain]]\nname = 'x.org'\nkey = 'k'\n").contains("both certificate and key"));
    assert!(error("[contact]\nabuse = ['abuse@x.org']").contains("no URI"));
    let weak = error("[store]\ndurability = 'replica'");
    assert!(weak.contains("store.durability must be \"fsync\""), "{weak}");
    assert!(error("[store]\ndurability = 'raid'").contains("`async`, `replica`, `fsync`"));
    assert!(error("[accounts]\nsessions = 101").contains("accounts.sessions is 101"));
    assert!(error("[sm]\nqueue_bytes = 5000000").contains("between 1000 and 4194304"));
    assert!(error("[archive]\npage_messages = 251").contains("between 1 and 250"));
    assert!(error("[telemetry]\notlp = 'collector:4317'").contains("begin with http://"));
    assert!(error("[telemetry]\nsample_ratio = 1.5").contains("from 0 to 1"));
    assert!(error("[[turn]]\nport = 1").contains("needs a host"));
    assert!(error("[[turn]]\nhost = 'x'\ntype = 'tun'").contains("not turn, turns"));
    assert!(error("[[turn]]\nhost = 'x'\ntransport = 'tls'").contains("not udp or tcp"));
    assert!(error("domain = []").contains("no [[domain]]"));
    assert!(error("[listen]\nc2s = ['nowhere']").contains("line 2"));
}

#[test]
fn a_word_that_is_no_level_is_not_taken_for_a_part_of_the_program() {
    for log in ["verbose", "infos", "info,c2s=debgu", "info,c2s", "c2s=", "info,room=loud"] {
        let error = error(&format!("[telemetry]\nlog = '{log}'"));
        assert!(error.contains("is no level"), "{log}: {error}");
    }
    for log in ["info", "OFF", "warn,c2s=debug,room::history=trace", "info,[stanza{id=1}]=trace"] {
        assert!(parsed(&format!("[telemetry]\nlog = '{log}'")).is_ok(), "{log}");
    }
}

#[test]
fn what_is_said_of_rooms_reaches_them() {
    let text = "[room]\nsessions_per_occupant = 3\npresence_bytes = 4\nstanzas_per_second_of_all = 5\nstanzas_burst_of_all = 6\n";
    let rooms = parsed(&format!("{text}[room.defaults]\nmaxusers = 7")).unwrap().room().unwrap();
    let said = (rooms.sessions_per_occupant, rooms.rates.room, rooms.defaults.occupants);
    assert_eq!(rooms.presence_bytes, 4);
    assert_eq!(said, (3, room::Pace { per_second: 5, burst: 6 }, Some(7)));
    assert!(error("[room.defaults]\nallowpm = 'dogs'").contains("`anyone`, `participants`"));
    assert!(error("[room.defaults]\npresencebroadcast = ['king']").contains("`moderator`"));
}

#[test]
fn a_domain_is_served_once_however_it_is_written() {
    let of = |names: &[&str]| {
        let tables = names.iter().map(|name| format!("[[domain]]\nname = '{name}'\n"));
        parsed(&tables.collect::<String>())
    };
    assert_eq!(of(&["Chat.Example."]).unwrap().domain[0].name, "chat.example");
    for twice in ["localhost", "LOCALHOST", "localhost."] {
        let error = of(&["localhost", twice]).unwrap_err().to_string();
        assert!(error.contains("two [[domain]] localhost"), "{twice}: {error}");
    }
    assert!(of(&["localhost", "example.org"]).is_ok());
}

#[test]
fn an_address_is_listened_on_once() {
    let both = "[listen]\nc2s = ['127.0.0.1:5222']\nc2s_tls = ['127.0.0.1:5222']\n";
    let error = error(both);
    assert!(error.contains("127.0.0.1:5222 stands in listen.c2s and in listen.c2s_tls"), "{error}");
    for (one, other) in [("[::]:5222", "127.0.0.1:5222"), ("192.0.2.1:1", "0.0.0.0:1")] {
        let both = format!("[listen]\nc2s = ['{one}']\nc2s_tls = ['{other}']\n");
        let error = Config::parse(&both, "test.toml", &[]).unwrap_err().to_string();
        assert!(error.contains(one) && error.contains(other), "{error}");
    }
    let twice = "[listen]\nhttp = ['127.0.0.1:1', '127.0.0.1:1']\n";
    let error = Config::parse(twice, "test.toml", &[]).unwrap_err().to_string();
    assert!(error.contains("stands twice in listen.http"), "{error}");
    let apart = "[listen]\nc2s = ['[::1]:5222', '0.0.0.0:5222', '127.0.0.1:0', '127.0.0.1:0']\n";
    assert!(Config::parse(apart, "test.toml", &[]).is_ok());
    assert!(parsed(&both.replace("5222", "0")).is_ok());
}

#[test]
fn a_secret_that_cannot_be_read_is_named() {
    let config = parsed("[[turn]]\nhost = 'x'\nsecret_file = '/no/such/file'").unwrap();
    let error = config.external_services().unwrap_err().to_string();
    assert!(error.contains("/no/such/file"), "{error}");
}

#[test]
fn the_environment_overrides_single_values() {
    let variables = [
        ("ROOKERY__LIMITS__STANZA_BYTES".to_owned(), "20000".to_owned()),
        ("ROOKERY__DATA_DIR".to_owned(), "/x".to_owned()),
        ("HOME".to_owned(), "/root".to_owned()),
    ];
    let settings = environment::settings(variables.into_iter());
    let config = Config::parse("[limits]\nstanza_bytes = 30000", "f", &settings).unwrap();
    assert_eq!((config.limits.stanza_bytes, config.data_dir), (20_000, PathBuf::from("/x")));
}

#[test]
fn the_environment_may_not_name_lists_or_unknown_keys() {
    for (name, value) in [("ROOKERY__LISTEN__C2S", "x"), ("ROOKERY__LIMITS__NO_SUCH", "1")] {
        let settings = environment::settings([(name.to_owned(), value.to_owned())].into_iter());
        assert!(Config::parse("[listen]\nc2s = []", "f", &settings).is_err(), "{name}");
    }
}

#[test]
fn an_engine_of_the_store_takes_only_what_it_can_promise() {
    let redis = parsed("[store]\nengine = 'redis'\nurl = 'redis://127.0.0.1'\n").unwrap();
    let settings = redis.store.redis("redis://127.0.0.1").unwrap();
    assert_eq!(settings.durability, ::store::redis::Durability::Replica);
    assert!(error("[store]\nengine = 'redis'\n").contains("store.url does not say"));
    assert!(error("[store]\nurl = 'redis://127.0.0.1'\n").contains("is not \"redis\""));
    assert!(error("[store]\ndurability = 'async'\n").contains("must be \"fsync\""));
    assert!(parsed("[store]\ndurability = 'fsync'\n").is_ok());
}
