use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::entities::utf16_length;
use super::*;

fn check(html: &str, expected: Expect) {
    let shown = match parse(html) {
        Err(complaint) => format!("! {complaint}"),
        Ok(parsed) => {
            let mut shown = format!("{:?}", parsed.text);
            for entity in &parsed.entities {
                let units: Vec<u16> = parsed.text.encode_utf16().collect();
                let range = &units[entity.offset..entity.offset + entity.length];
                shown += &format!("\n{} {:?}", entity.kind, String::from_utf16(range).unwrap());
                for extra in [&entity.url, &entity.language].into_iter().flatten() {
                    shown += &format!(" {extra}");
                }
            }
            if let Some(at) = parsed.lone_ampersand {
                shown += &format!("\nlone & at {at}");
            }
            shown
        }
    };
    expected.assert_eq(&shown);
}

#[test]
fn every_tag_becomes_its_entity() {
    check(
        "<b>b</b><strong>b</strong> <i>i</i><em>i</em> <u>u</u><ins>u</ins> <s>s</s><strike>s</strike><del>s</del>",
        expect![[r#"
            "bb ii uu sss"
            bold "b"
            bold "b"
            italic "i"
            italic "i"
            underline "u"
            underline "u"
            strikethrough "s"
            strikethrough "s"
            strikethrough "s""#]],
    );
    check(
        r#"<tg-spoiler>a</tg-spoiler><span class="tg-spoiler">b</span><CODE>c</code><pre>d</pre>"#,
        expect![[r#"
            "abcd"
            spoiler "a"
            spoiler "b"
            code "c"
            pre "d""#]],
    );
    check(
        "<blockquote>a</blockquote><blockquote expandable>b</blockquote>",
        expect![[r#"
            "ab"
            blockquote "a"
            expandable_blockquote "b""#]],
    );
    check(
        r#"<a href="https://example.com/?a=1&amp;b=2">link</a> <a href='tg://user?id=5'>name</a> <a>none</a>"#,
        expect![[r#"
            "link name none"
            text_link "link" https://example.com/?a=1&b=2
            text_link "name" tg://user?id=5"#]],
    );
}

#[test]
fn a_block_of_code_has_a_language() {
    check(
        r#"<pre><code class="language-rust">fn</code></pre>"#,
        expect![[r#"
            "fn"
            pre "fn" rust"#]],
    );
    check(
        r#"<code class="language-rust">fn</code> <pre>a<code>b</code></pre>"#,
        expect![[r#"
            "fn ab"
            code "fn"
            pre "ab"
            code "b""#]],
    );
}

#[test]
fn the_outer_comes_before_the_inner_and_offsets_are_utf16() {
    check(
        "😀<b>x<i>ж😀</i></b>",
        expect![[r#"
            "😀xж😀"
            bold "xж😀"
            italic "ж😀""#]],
    );
    check(
        "<i><b>x</b>y</i>",
        expect![[r#"
            "xy"
            italic "xy"
            bold "x""#]],
    );
    check("<b></b>", expect![[r#""""#]]);
}

#[test]
fn references_are_decoded() {
    check("&lt;b&gt; &amp;amp; &quot;&#39;&#x41;&#128512;&lt", expect![[r#""<b> &amp; \"'A😀<""#]]);
    check(
        "a > b & c &nbsp; &#xD800;",
        expect![[r#"
            "a > b & c &nbsp; &#xD800;"
            lone & at 6"#]],
    );
}

#[test]
fn broken_html_is_refused() {
    for (html, complaint) in [
        ("<b>x", "Can't find end tag corresponding to start tag \"b\""),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("ж<b>x</i>", "Unmatched end tag at byte offset 6, expected \"</b>\", found \"</i>\""),
        ("<b><i>x</b></i>", "Unmatched end tag at byte offset 7, expected \"</i>\", found \"</b>\""),
        ("<div>x</div>", "Unsupported start tag \"div\" at byte offset 0"),
        ("1 <2", "Unclosed start tag at byte offset 2"),
        ("1 < 2", "Unsupported start tag \"\" at byte offset 2"),
        ("1 <2 and 3> 0", "Unsupported start tag \"2\" at byte offset 2"),
        ("a <br/> b", "Unsupported start tag \"br/\" at byte offset 2"),
        ("<", "Unclosed start tag at byte offset 0"),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<span>x</span>", "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0"),
        ("<a href>x</a>", "Expected equal sign in declaration of an attribute of the tag \"a\" at byte offset 0"),
        ("<a ='x'>x</a>", "Empty attribute name in the tag \"a\" at byte offset 0"),
        ("<a href='x>x</a>", "Unclosed start tag \"a\" at byte offset 0"),
        ("<a href=>x</a>", "Unexpected end of attribute value in the tag \"a\" at byte offset 0"),
    ] {
        assert_eq!(parse(html), Err(complaint.to_owned()), "{html}");
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

proptest! {
    #[test]
    fn escaped_text_comes_back_as_it_was(text in "\\PC*|[<>&\";#a-z0-9/ ]*") {
        let parsed = parse(&escape(&text)).unwrap();
        prop_assert_eq!(&parsed.text, &text);
        prop_assert_eq!(parsed.entities, vec![]);
        prop_assert_eq!(parsed.lone_ampersand, None);
    }

    #[test]
    fn escaped_text_comes_back_from_within_tags(before in "\\PC*", text in "\\PC+", after in "\\PC*") {
        let html = format!("{}<pre>{}</pre>{}", escape(&before), escape(&text), escape(&after));
        let parsed = parse(&html).unwrap();
        prop_assert_eq!(&parsed.text, &format!("{before}{text}{after}"));
        let range = Entity::new("pre", utf16_length(&before), utf16_length(&text));
        prop_assert_eq!(parsed.entities, vec![range]);
    }

    #[test]
    fn no_input_breaks_the_parser(html in "(<|>|/|&|#|x|b|a href|=|\"|'|pre|code| |😀|;|\\PC)*") {
        if let Ok(parsed) = parse(&html) {
            let length = utf16_length(&parsed.text);
            for entity in parsed.entities {
                prop_assert!(entity.length > 0 && entity.offset + entity.length <= length);
            }
        }
    }
}
