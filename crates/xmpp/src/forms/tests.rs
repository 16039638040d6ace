//! Forms: what is offered, what comes back, and what is made of it.

use super::*;
use crate::Jid;

const BOT: &str = "jabber:bot";

fn offered() -> Form {
    Form::new(FormKind::Form, BOT)
        .with_title("Bot Configuration", "Fill out this form\nto configure your bot")
        .with(Field::fixed("Section 1: Bot Info"))
        .with(Field::new(FieldType::TextSingle, "botname").with_label("Name").required())
        .with(Field::text_multi("description", "one\ntwo").with_desc("What it does"))
        .with(Field::boolean("public", false))
        .with(
            Field::new(FieldType::ListMulti, "features")
                .with_option("Contests", "contests")
                .with_option("News", "news")
                .with_value("news"),
        )
        .with(
            Field::new(FieldType::ListSingle, "maxsubs")
                .with_option("10", "10")
                .with_option("None", "none"),
        )
        .with(Field::new(FieldType::JidMulti, "invitelist"))
}

/// As it is read again, with the attributes in the order that reading gives them.
fn written(x: &Element) -> Element {
    Element::parse(&x.to_bytes()).unwrap()
}

fn wrapped(x: &str) -> Element {
    let xml = format!("<command xmlns='http://jabber.org/protocol/commands'>{x}</command>");
    Element::parse(xml.as_bytes()).unwrap()
}

fn x(kind: &str, fields: &str) -> Element {
    wrapped(&format!("<x xmlns='jabber:x:data' type='{kind}'>{fields}</x>"))
}

/// A submitted field with its values.
fn field(var: &str, values: &[&str]) -> String {
    let values: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
    format!("<field var='{var}'>{values}</field>")
}

fn submitted(fields: &[(&str, &[&str])]) -> Form {
    let fields: String = fields.iter().map(|(var, values)| field(var, values)).collect();
    Form::submitted(&x("submit", &fields), BOT).unwrap().unwrap()
}

#[test]
fn a_form_is_written_in_the_order_of_its_fields() {
    let xml = "<x xmlns='jabber:x:data' type='form'><title>Bot Configuration</title>\
        <instructions>Fill out this form</instructions><instructions>to configure your bot</instructions>\
        <field var='FORM_TYPE' type='hidden'><value>jabber:bot</value></field>\
        <field type='fixed'><value>Section 1: Bot Info</value></field>\
        <field var='botname' type='text-single' label='Name'><required/></field>\
        <field var='description' type='text-multi'><desc>What it does</desc><value>one</value><value>two</value></field>\
        <field var='public' type='boolean'><value>0</value></field>\
        <field var='features' type='list-multi'><value>news</value>\
        <option label='Contests'><value>contests</value></option><option label='News'><value>news</value></option></field>\
        <field var='maxsubs' type='list-single'>\
        <option label='10'><value>10</value></option><option label='None'><value>none</value></option></field>\
        <field var='invitelist' type='jid-multi'/></x>";
    assert_eq!(written(&offered().to_element()), Element::parse(xml.as_bytes()).unwrap());
}

#[test]
fn a_form_is_read_back_but_for_the_text_between_its_fields() {
    let mut expected = offered();
    expected.fields.retain(|field| !field.var.is_empty());
    assert_eq!(Form::parse(&offered().to_element()), Ok(expected));
}

#[test]
fn answers_are_read_as_what_they_are() {
    let form = submitted(&[
        ("FORM_TYPE", &[BOT]),
        ("botname", &["The Bot"]),
        ("description", &["line", "", "line"]),
        ("public", &["true"]),
        ("features", &["news", "contests"]),
        ("maxsubs", &["50"]),
        ("invitelist", &["juliet@capulet.com", "", "Juliet@capulet.com", "benvolio@montague.net"]),
        ("owner", &["ROMEO@montague.net"]),
        ("blank", &[""]),
        ("empty", &[]),
    ]);
    assert_eq!(form.form_type(), Some(BOT));
    assert_eq!(form.text("botname"), Ok(Some("The Bot")));
    assert_eq!(form.lines("description").as_deref(), Some("line\n\nline"));
    assert_eq!(form.boolean("public"), Ok(Some(true)));
    assert_eq!(form.values("features").unwrap(), ["news", "contests"]);
    assert_eq!(form.number("maxsubs"), Ok(Some(50)));
    assert_eq!(form.jid("owner"), Ok(Some(Jid::parse("romeo@montague.net").unwrap())));
    let invited: Vec<String> =
        form.jids("invitelist").unwrap().unwrap().iter().map(Jid::to_string).collect();
    assert_eq!(invited, ["juliet@capulet.com", "benvolio@montague.net"]);
    for blank in ["blank", "empty"] {
        assert_eq!(form.text(blank), Ok(Some("")));
        assert_eq!(form.lines(blank).as_deref(), Some(""));
        assert_eq!(form.boolean(blank), Ok(None));
        assert_eq!(form.number(blank), Ok(None));
        assert_eq!(form.jids(blank), Ok(Some(Vec::new())));
    }
    assert_eq!(form.text("omitted"), Ok(None));
    assert_eq!(form.jids("omitted"), Ok(None));
}

#[test]
fn answers_that_are_not_what_they_should_be_are_not_acceptable() {
    let form =
        submitted(&[("two", &["1", "0"]), ("odd", &["maybe"]), ("plus", &["+1"]), ("jid", &["@"])]);
    let errors = [
        form.text("two").map(|_| ()),
        form.boolean("two").map(|_| ()),
        form.boolean("odd").map(|_| ()),
        form.number("odd").map(|_| ()),
        form.number("plus").map(|_| ()),
        form.jid("jid").map(|_| ()),
        form.jids("jid").map(|_| ()),
        form.choice("odd", |_| None::<()>).map(|_| ()),
    ];
    for error in errors {
        let error = error.unwrap_err();
        assert_eq!(error.condition, StanzaCondition::NotAcceptable);
        assert!(error.text.is_some_and(|text| text.contains("field ")));
    }
}

#[test]
fn answers_are_held_against_the_form_that_was_offered() {
    let good: &[(&str, &[&str])] =
        &[("botname", &["b"]), ("features", &["news", "contests"]), ("unknown", &["1", "2"])];
    assert_eq!(submitted(good).check_against(&offered()), Ok(()));
    let bad: [&[(&str, &[&str])]; 7] = [
        &[("public", &["1"])],
        &[("botname", &[""])],
        &[("botname", &["a", "b"])],
        &[("botname", &["b"]), ("public", &["yes"])],
        &[("botname", &["b"]), ("features", &["news", "polls"])],
        &[("botname", &["b"]), ("maxsubs", &["11"])],
        &[("botname", &["b"]), ("invitelist", &["juliet@capulet.com", "@"])],
    ];
    for fields in bad {
        let error = submitted(fields).check_against(&offered()).unwrap_err();
        assert_eq!(error.condition, StanzaCondition::NotAcceptable, "{fields:?}");
    }
}

#[test]
fn only_an_answer_to_this_form_is_one() {
    assert_eq!(Form::submitted(&x("cancel", ""), BOT), Ok(None));
    assert!(Form::submitted(&x("submit", ""), BOT).unwrap().is_some());
    let other = field("FORM_TYPE", &["jabber:cat"]);
    for wrapper in [
        x("submit", &other),
        x("form", ""),
        x("result", ""),
        x("error", ""),
        wrapped(""),
        wrapped("<x/>"),
    ] {
        let error = Form::submitted(&wrapper, BOT).unwrap_err();
        assert_eq!(error.condition, StanzaCondition::BadRequest, "{wrapper:?}");
    }
}

#[test]
fn the_form_type_of_a_result_counts_only_when_it_is_hidden() {
    let read = |ty: &str| {
        let xml = format!(
            "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='{ty}'><value>t</value></field></x>"
        );
        Form::parse(&Element::parse(xml.as_bytes()).unwrap())
            .unwrap()
            .form_type()
            .map(str::to_owned)
    };
    assert_eq!(read("hidden").as_deref(), Some("t"));
    assert_eq!(read("text-single"), None);
}

#[test]
fn of_fields_with_the_same_name_the_first_counts() {
    let form = submitted(&[("a", &["1"]), ("a", &["2"])]);
    assert_eq!(form.text("a"), Ok(Some("1")));
}

#[test]
fn a_form_with_too_many_fields_is_refused() {
    let many = |count: usize| x("submit", &"<field var='a'/>".repeat(count));
    assert!(Form::submitted(&many(FIELDS_MAX), BOT).is_ok());
    let error = Form::submitted(&many(FIELDS_MAX + 1), BOT).unwrap_err();
    assert_eq!(error.condition, StanzaCondition::NotAcceptable);
}

#[test]
fn a_table_has_its_header_first() {
    let table = Table {
        title: None,
        reported: vec![Field::new(FieldType::TextSingle, "name").with_label("Name")],
        items: vec![vec![Field {
            var: "name".to_owned(),
            values: vec!["Verona".to_owned()],
            ..Field::default()
        }]],
    };
    let xml = "<x xmlns='jabber:x:data' type='result'>\
        <reported><field var='name' type='text-single' label='Name'/></reported>\
        <item><field var='name'><value>Verona</value></field></item></x>";
    assert_eq!(written(&table.to_element()), Element::parse(xml.as_bytes()).unwrap());
}
