//! What the parsers take and what they refuse.

use super::*;

#[test]
fn a_malformed_first_message_is_refused() {
    let wrong = [
        "",
        ",",
        ",,",
        "n",
        "n,",
        "n,,",
        "n,,n=user",
        "n,,r=nonce",
        "n,,n=user,",
        "n,,n=,r=nonce",
        "n,,n=user,r=",
        "n,,r=nonce,n=user",
        "n,n=user,r=nonce",
        "x,,n=user,r=nonce",
        "N,,n=user,r=nonce",
        "F,n,,n=user,r=nonce",
        "n,x=romeo,n=user,r=nonce",
        "n,a=,n=user,r=nonce",
        "n,romeo,n=user,r=nonce",
        "n,,m=ext,n=user,r=nonce",
        "n,,n=user,r=nonce,m=ext",
        "n,,n=user,m=ext,r=nonce",
        "n,,n=us=er,r=nonce",
        "n,,n=us=2cer,r=nonce",
        "n,,n=us=3der,r=nonce",
        "n,,n=user=,r=nonce",
        "n,,n=user=2,r=nonce",
        "n,,n=user,r=non ce",
        "n,,n=user,r=nonc\u{e9}",
        "n,,n=user,r=nonce,",
        "n,,n=user,r=nonce,x",
        "n,,n=user,r=nonce,x=",
        "n,,n=user,r=nonce,=x",
        "n,,n=user,r=nonce,1=x",
        "n,,n=user,r=nonce,xy=z",
        "n,,n=user,r=nonce,n=admin",
        "n,,n=user,r=nonce,r=nonce",
        "n,,n=user,r=nonce,p=AAAA",
        "n,,n=us\0er,r=nonce",
        "n,,n=user,r=nonce\0",
        "n,,n=user=\u{20ac}x,r=nonce",
    ];
    for message in wrong {
        let outcome = ClientFirst::parse(message.as_bytes());
        assert_eq!(outcome, Err(Failure::MalformedRequest), "{message:?}");
    }
    assert_eq!(ClientFirst::parse(b"n,,n=\xff,r=nonce"), Err(Failure::MalformedRequest));
    for authzid in ["a==", "a=x=2", "a=x=2cy"] {
        let message = format!("n,{authzid},n=user,r=nonce");
        let outcome = ClientFirst::parse(message.as_bytes());
        assert_eq!(outcome, Err(Failure::InvalidAuthzid), "{message:?}");
    }
}

#[test]
fn names_are_decoded_and_extensions_ignored() {
    let first = ClientFirst::parse("n,a=x=2Cy,n==2C=3D=2C=\u{e9},r=nonce,x=y=z".as_bytes());
    assert_eq!(first, Err(Failure::MalformedRequest));
    let first = ClientFirst::parse("n,a=x=2Cy,n==2C=3D=2Ce\u{e9},r=nonce,x=y=z,Y=,".as_bytes());
    assert_eq!(first, Err(Failure::MalformedRequest));
    let first = ClientFirst::parse("n,a=x=2Cy,n==2C=3D=2Ce\u{e9},r=nonce,x=y=z,Y=1".as_bytes())
        .expect("a good message");
    assert_eq!(first.username, ",=,e\u{e9}");
    assert_eq!(first.authzid.as_deref(), Some("x,y"));
    assert_eq!(first.header, "n,a=x=2Cy,");
    assert_eq!(first.bare, "n==2C=3D=2Ce\u{e9},r=nonce,x=y=z,Y=1");
}

#[test]
fn a_malformed_last_message_is_refused() {
    let wrong = [
        "",
        ",",
        "c=biws",
        "c=biws,r=nonce",
        "c=biws,p=AAAA",
        "r=nonce,p=AAAA",
        "c=,r=nonce,p=AAAA",
        "r=nonce,c=biws,p=AAAA",
        "c=biws,r=,p=AAAA",
        "c=biws,r=nonce,p=",
        "c=biws,r=nonce,p=A",
        "c=biws,r=nonce,p=A A=",
        "c=biws,r=nonce,p=AAAA,",
        "c=biws,r=nonce,p=AAAA,x=y",
        "c=biws,r=nonce,p=AAAA,p=AAAA",
        "c=biws,r=nonce,m=ext,p=AAAA",
        "m=ext,c=biws,r=nonce,p=AAAA",
        "c=biws,r=nonce,c=biws,p=AAAA",
        "c=biws,r=nonce,x,p=AAAA",
        "c=biws,r=nonce,p=AA\0A",
        "c=biws,r=nonce,p=AAB=",
    ];
    for message in wrong {
        let outcome = ClientFinal::parse(message.as_bytes());
        assert_eq!(outcome, Err(Failure::MalformedRequest), "{message:?}");
    }
}

#[test]
fn the_parsers_take_any_octets_without_panic() {
    let mut state = 1_u32;
    for _ in 0..20_000 {
        let mut message = b"c=biws,r=client-server,x=y,p=dHzbZapWIk4jUhN+Ute9".to_vec();
        for _ in 0..4 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (state >> 8) as usize % message.len();
            message[at] = b"\0,=pnrcm\xc3\xff"[(state >> 4) as usize % 10];
        }
        let parsed = ClientFinal::parse(&message).is_ok();
        let other = ClientFirst::parse(&message).is_ok() || parse_server_final(&message).is_ok();
        assert!(!(parsed && other));
        assert!(ServerFirst::parse(&message).is_err());
    }
}
