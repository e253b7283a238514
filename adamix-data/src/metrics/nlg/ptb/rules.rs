//! The lexical rules of the Penn Treebank tokeniser, over the alphabet of `classes`.
//!
//! The scanner takes the longest match and, among equals, the first rule. A rule may require a following
//! context, which counts for the length of the match and is then given back; [`Context`] says how much.

/// How much of a match is context and stays in the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Context {
    /// Nothing.
    None,
    /// The last so many characters.
    Last(usize),
    /// Everything from the first white space on.
    FromSpace,
    /// The final digit and white space before it.
    SpaceDigit,
    /// The contraction from its apostrophe on.
    Contraction,
    /// The negation from its `n` on.
    Negation,
}

/// What becomes of a match.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Action {
    /// Nothing: white space and characters that are deleted.
    Skip,
    /// A line break.
    NewLine,
    /// The text as it is.
    Keep,
    /// The text, all but the last so many characters, which are scanned again.
    GiveBack(usize),
    /// A fixed text.
    Write(&'static str),
    /// The text without soft hyphens.
    DropSoftHyphens,
    /// The text with `&amp;` unescaped.
    UnescapeAmpersand,
    /// The text with spaces made no-break spaces.
    JoinSpaces,
    /// As `JoinSpaces`, and parentheses become bracket names.
    Phone,
    /// Parentheses become bracket names.
    Parentheses,
    /// Quotes in LaTeX form, opening.
    OpenQuote,
    /// Quotes in LaTeX form, closing.
    CloseQuote,
    /// Currency signs in Treebank form.
    Currency,
    /// Vulgar fractions spelled with a slash.
    Fraction,
    /// An acronym at the end of a sentence: its full stop is used twice.
    Acronym,
    /// An abbreviation at the end of a sentence: its full stop is used twice.
    Abbreviation,
    /// Runs of hyphens: three or four are a dash.
    Hyphens,
}

/// One rule: a pattern, how much of it is context, and what to do.
pub(super) struct Rule {
    pub(super) pattern: String,
    pub(super) context: Context,
    pub(super) action: Action,
}

/// All rules, in the order that breaks ties.
pub(super) fn rules() -> Vec<Rule> {
    use Action::*;

    let letter = r"[A-Za-z\x80\x9B]";
    let digit = r"[0-9\x82]";
    let letter_or_digit = r"[A-Za-z\x80\x9B0-9\x82]";
    let word_letter = r"(?:[A-Za-z\x80\x9B\x81\x89]|&[aeiouAEIOU](?i:acute|grave|uml);)";
    let word = format!(
        r"(?:{word_letter}(?:{word_letter}|{digit})*(?:[.!?]{word_letter}(?:{word_letter}|{digit})*)*)"
    );
    let space = r"[ \t\x84\x85]";
    let blank = r"[ \t\x84\x85\n\x0B\x0C\r\x86\x87]";
    let inside = r"[,;:\x96]";
    let apostrophe = r"(?:['\x91]|(?i:&apos;))";
    let apostrophe_like = r"(?:['\x91`\x92]|(?i:&apos;))";
    let hyphen = r"[-_\x94]";
    let ampersand = r"(?i:&amp;)";
    let name = r"[A-Za-z][A-Za-z0-9_:.\-]*";
    let tag = format!(
        r#"(?:<(?:[!?][A-Za-z\-][^>\r\n]*|{name}(?: +(?:{name}|{name} *= *(?:'[^']*'|"[^"]*")))* */?|/{name}) *>)"#
    );
    let sentence_end = format!(r"(?:{blank}(?:{blank}|[A-Z\x9B]|{tag}))");
    let contraction = format!(r"(?:{apostrophe}(?:[msdMSD]|(?i:re|ve|ll)))");
    let negation = format!(r"(?:(?i:n){apostrophe_like}(?i:t))");
    let number = format!(r"(?:[-+]?(?:{digit}+|{digit}*(?:[.:,\x89\x8A]{digit}+)+))");
    let nations = r"(?i:(?:Canada|Sino|Korean|EU|Japan|non)-U\.S|U\.S\.-(?:U\.K|U\.S\.S\.R))";
    let acronym = format!(r"(?:[A-Za-z](?:\.[A-Za-z])*|{nations})");
    let acronym_long = format!(r"(?:[A-Za-z](?:\.[A-Za-z])+|{nations})");
    let hyphenated =
        format!(r"(?:[A-Za-z0-9][A-Za-z0-9.,\x89]*(?:-(?:[A-Za-z0-9\x89]+|{acronym_long}\.))+)");
    let elided = format!(r"(?:[dDoOlL]{apostrophe_like}{letter_or_digit})?{letter_or_digit}+");
    let thing = format!(r"(?:{elided}(?:{hyphen}{elided})*)");
    let joined = format!(r"(?:[A-Z]+(?:(?:[+&]|{ampersand})[A-Z]+)+)");
    let slashed =
        r"(?:[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}(?:\\?/[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}){1,2})";
    let file_name = format!(
        r"(?:(?:{word_letter}|{digit})+(?:\.(?:{word_letter}|{digit})+)*\.(?i:bat|bmp|c|class|cgi|cpp|dll|doc|docx|exe|gif|gz|h|htm|html|jar|java|jpeg|jpg|mov|mp3|pdf|php|pl|png|ppt|ps|py|sql|tar|txt|wav|x|xml|zip))"
    );
    // Months, weekdays, states, companies and the like: the next word is usually in lower case.
    let before_lower = r"(?:(?i:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec|Mon|Tue|Tues|Wed|Thu|Thurs|Fri|Ala|Ariz|(?-i:A)z|(?-i:A)rk|Calif|Colo|Conn|Ct|Dak|(?-i:D)el|Fla|Ga|(?-i:I)ll|Ind|Kans?|Ky|(?-i:L)a|(?-i:M)ass|Md|Mich|Minn|(?-i:M)iss|Mo|Mont|Neb|Nev|Okla|(?-i:O)re|(?-i:P)a|Penn|Tenn|(?-i:T)ex|Va|Vt|(?-i:W)ash|Wisc?|Wyo|Inc|Cos?|Corp|Pp?t(?-i:[ye])s?|Ltd|Plc|Rt|Bancorp|Bhd|Assn|Univ|Intl|Sys|tel|est|ext|sq|Jr|Sr|Bros|(?:Ed|Ph)\.D|Blvd|Rd|Esq|etc|al|seq|Bldg)\.)";
    // Titles and the like: the next word is usually in upper case.
    let before_upper = format!(
        r"(?:(?i:Mr|Mrs|Ms|(?-i:M)iss|Drs?|Profs?|Sens?|Reps?|Attys?|Lt|Col|Gen|Messrs|Govs?|Adm|Rev|Maj|Sgt|Cpl|Pvt|Capt|Ste?|Ave|Pres|Lieut|Hon|Brig|Co?mdr|Pfc|Spc|Supts?|Det|Mt|Ft|Adj|Adv|Asst|Assoc|Ens|Insp|Mlle|Mme|Msgr|Sfc|vs|Alex|Wm|Jos|Cie|a\.k\.a|cf|TREAS|Ph|Invt|Elec|Natl|M(?-i:[ft])g|Dept)|{acronym})"
    );
    let before_number = r"(?i:(?:ca|figs?|prop|nos?|art|bldg|prop|pp|op)\.)";
    let starters = r"(?:A(?i:bout)|A(?i:ccording)|A(?i:dditionally)|A(?i:fter)|A(?i:n)|A|A(?i:s)|A(?i:t)|B(?i:ut)|E(?i:arlier)|H(?i:e)|H(?i:er)|H(?i:ere)|H(?i:owever)|I(?i:f)|I(?i:n)|I(?i:t)|L(?i:ast)|M(?i:any)|M(?i:ore)|M(?i:r\.)|M(?i:s\.)|N(?i:ow)|O(?i:nce)|O(?i:ne)|O(?i:ther)|O(?i:ur)|S(?i:he)|S(?i:ince)|S(?i:o)|S(?i:ome)|S(?i:uch)|T(?i:hat)|T(?i:he)|T(?i:heir)|T(?i:hen)|T(?i:here)|T(?i:hese)|T(?i:hey)|T(?i:his)|W(?i:e)|W(?i:hen)|W(?i:hile)|W(?i:hat)|Y(?i:et)|Y(?i:ou))";
    let url_path = r#"(?:/[^ \t\n\x0C\r"<>|()]+[^ \t\n\x0C\r"<>|.!?(){},\-])?"#;
    let host = r#"[^ \t\n\x0C\r"<>|(){}.\x84]"#;
    let phone = r"(?:(?:\([0-9]{2,3}\)[ \x84]?|(?:\+\+?)?(?:[0-9]{2,4}[- \x84])?[0-9]{2,4}[- \x84])[0-9]{3,4}[- \x84]?[0-9]{3,5}|(?:(?:\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5})";
    let quote = r#"(?:"|(?i:&quot;))"#;
    let negative_tail = "[^A-Za-z]";

    let mut list = Vec::new();
    let mut rule = |pattern: String, context: Context, action: Action| {
        list.push(Rule {
            pattern,
            context,
            action,
        });
    };
    rule(r"(?i:c)\+\+".into(), Context::None, Keep);
    rule(r"(?i:c|f)#".into(), Context::None, Keep);
    rule(r"(?i:cannot)".into(), Context::None, GiveBack(3));
    rule(r"(?i:'twas)".into(), Context::None, GiveBack(3));
    rule(r"(?i:'tis)".into(), Context::None, GiveBack(2));
    rule(
        r"(?i:gonna|gotta|lemme|gimme|wanna)".into(),
        Context::None,
        GiveBack(2),
    );
    rule(tag.clone(), Context::None, JoinSpaces);
    rule(
        r"(?:(?i:&(?:MD|mdash|ndash);)|\x88)".into(),
        Context::None,
        Write("--"),
    );
    rule(ampersand.into(), Context::None, UnescapeAmpersand);
    rule(
        r"(?i:&(?:HT|TL|UR|LR|QC|QL|QR|odq|cdq|#[0-9]+);)".into(),
        Context::None,
        Keep,
    );
    rule(
        format!("{word}{contraction}"),
        Context::Contraction,
        DropSoftHyphens,
    );
    rule(
        format!(r"[A-Za-z\x89]*[A-MO-Za-mo-z]\x89*{negation}"),
        Context::Negation,
        DropSoftHyphens,
    );
    rule(word.clone(), Context::None, DropSoftHyphens);
    rule(
        format!(
            r"(?:{apostrophe}(?i:n){apostrophe}?|[lLdDjJ]{apostrophe}|(?i:Dunkin){apostrophe}|(?i:somethin){apostrophe}|(?i:ol){apostrophe}|{apostrophe}(?i:em)|[A-HJ-XZn]{apostrophe_like}{letter}{{2}}{letter}*|{apostrophe}[2-9]0(?i:s)|{apostrophe}(?i:till?)|{letter}{letter}*[aeiouyAEIOUY]{apostrophe_like}[aeiouA-Z]{letter}*|{apostrophe}(?i:cause)|(?i:cont'd\.?|'twas|nor'easter|c'mon|e'er|s'mores|ev'ry|li'l|nat'l)|(?i:O){apostrophe_like}(?i:o))"
        ),
        Context::None,
        Keep,
    );
    rule(
        format!(r"(?i:y){apostrophe}{letter}"),
        Context::Last(1),
        Keep,
    );
    rule(
        r#"(?i:https?)://[^ \t\n\x0C\r"<>|(){}]+[^ \t\n\x0C\r"<>|.!?(){},\-]"#.into(),
        Context::None,
        Keep,
    );
    rule(
        format!(
            r#"(?:(?i:www\.)(?:[^ \t\n\x0C\r"<>|.!?(){{}},]+\.)+[a-zA-Z]{{2,4}}|(?:[^ \t\n\x0C\r"`'<>|.!?(){{}},-_$]+\.)+(?i:com|net|org|edu)){url_path}"#
        ),
        Context::None,
        Keep,
    );
    rule(
        format!(
            r#"(?:(?i:&lt;)|<)?[a-zA-Z0-9][^ \t\n\x0C\r"<>|()\x84{{}}]*@(?:{host}+\.)*{host}+(?:(?i:&gt;)|>)?"#
        ),
        Context::None,
        Keep,
    );
    rule(
        format!(r"(?:@[a-zA-Z_][a-zA-Z_0-9]*|#{word_letter}+)"),
        Context::None,
        Keep,
    );
    rule(
        format!("{contraction}{negative_tail}"),
        Context::Last(1),
        CloseQuote,
    );
    rule(
        format!("{negation}{negative_tail}"),
        Context::Last(1),
        CloseQuote,
    );
    rule(
        format!("{digit}{{1,2}}[-/]{digit}{{1,2}}[-/]{digit}{{2,4}}"),
        Context::None,
        Keep,
    );
    rule(number, Context::None, DropSoftHyphens);
    rule(r"\x8B?(?:\x8C+|\x8D+)".into(), Context::None, Keep);
    rule(
        format!(r"(?:{digit}{{1,4}}[- \x84])?{digit}{{1,4}}(?:\\?/|\x8E){digit}{{1,4}}"),
        Context::None,
        JoinSpaces,
    );
    rule(r"\x8F".into(), Context::None, Fraction);
    rule(
        format!(
            r"(?:(?i:-(?:RRB|LRB|RCB|LCB|RSB|LSB)-|C\.D\.s|pro-|anti-|S(?:&|&amp;)P-500|S(?:&|&amp;)Ls)|(?i:Cap){apostrophe}(?i:n)|(?i:c){apostrophe}(?i:est))"
        ),
        Context::None,
        UnescapeAmpersand,
    );
    rule(slashed.into(), Context::None, Keep);
    rule(r"(?:[A-Z]*\$|#)".into(), Context::None, Keep);
    rule(r"\x90".into(), Context::None, Currency);
    rule(
        format!(r"{acronym}\.{blank}+(?:{starters}|{tag}){blank}"),
        Context::FromSpace,
        Acronym,
    );
    rule(
        format!("{before_number}{blank}?{digit}"),
        Context::SpaceDigit,
        Keep,
    );
    rule(
        format!(r"(?:(?i:pt)[eyEY]|(?i:co))\.{space}(?i:ltd|lim)"),
        Context::Last(4),
        Keep,
    );
    rule(
        format!("{before_lower}{sentence_end}"),
        Context::FromSpace,
        Abbreviation,
    );
    rule(
        format!(r"{before_lower}[\x00-\xFF][\x00-\xFF]"),
        Context::Last(2),
        Keep,
    );
    rule(before_lower.into(), Context::None, Abbreviation);
    rule(format!(r"{before_upper}\."), Context::None, Keep);
    rule(format!("{before_upper}{space}"), Context::Last(1), Keep);
    rule(format!("{acronym}{blank}"), Context::Last(1), Keep);
    rule(
        format!("{apostrophe}[0-9][0-9]{blank}"),
        Context::Last(1),
        Keep,
    );
    rule(
        format!(r"{file_name}(?:{blank}|[.?!,])"),
        Context::Last(1),
        Keep,
    );
    rule(
        format!(r"{word}\.{inside}"),
        Context::Last(1),
        DropSoftHyphens,
    );
    rule(phone.into(), Context::None, Phone);
    rule(format!("{quote}[A-Za-z0-9$]"), Context::Last(1), OpenQuote);
    rule(quote.into(), Context::None, CloseQuote);
    rule(r"\x7F".into(), Context::None, Skip);
    rule(r"(?:<|(?i:&lt;))".into(), Context::None, Write("<"));
    rule(r"(?:>|(?i:&gt;))".into(), Context::None, Write(">"));
    rule(
        r"[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]][^A-Za-z0-9]".into(),
        Context::Last(1),
        Parentheses,
    );
    rule(
        r"(?:[-\^x=~<>']_[-\^x=~<>']|\([-\^x=~<>'][_.]?[-\^x=~<>']\)|\([\^x=~<>']-[\^x=~<>'`]\))"
            .into(),
        Context::None,
        Parentheses,
    );
    rule(r"\{".into(), Context::None, Write("-LCB-"));
    rule(r"\}".into(), Context::None, Write("-RCB-"));
    rule(r"\[".into(), Context::None, Write("-LSB-"));
    rule(r"\]".into(), Context::None, Write("-RSB-"));
    rule(r"\(".into(), Context::None, Write("-LRB-"));
    rule(r"\)".into(), Context::None, Write("-RRB-"));
    rule("-+".into(), Context::None, Hyphens);
    rule(
        r"(?:\.{3,5}|(?:\.[ \x84]){2,4}\.|[\x86\x95])".into(),
        Context::None,
        Write("..."),
    );
    rule(r"(?:@+|#+|_+)".into(), Context::None, Keep);
    rule(r"(?:\*+|(?:\\\*){1,3})".into(), Context::None, Keep);
    rule(inside.into(), Context::None, Keep);
    rule("[?!]+".into(), Context::None, Keep);
    rule(r"[.\x97]".into(), Context::None, Keep);
    rule("=".into(), Context::None, Keep);
    rule("/".into(), Context::None, Keep);
    rule(
        format!(r"{hyphenated}\.{inside}"),
        Context::Last(1),
        DropSoftHyphens,
    );
    rule(hyphenated, Context::None, DropSoftHyphens);
    rule(format!(r"{thing}\.{inside}"), Context::Last(1), Keep);
    rule(thing, Context::None, Keep);
    rule(
        format!(r"{joined}\.{inside}"),
        Context::Last(1),
        UnescapeAmpersand,
    );
    rule(joined, Context::None, UnescapeAmpersand);
    rule(
        r"'[A-Za-z][^ \t\n\r\x84]".into(),
        Context::Last(2),
        OpenQuote,
    );
    rule(contraction, Context::None, CloseQuote);
    rule(negation, Context::None, CloseQuote);
    rule(
        format!(r"(?:{apostrophe}|''|[`\x91\x92\x93]{{1,2}})"),
        Context::None,
        CloseQuote,
    );
    rule("(?:<<|>>)".into(), Context::None, Keep);
    rule(r"[+%&~\^|\\\x98\x8B\x8E]".into(), Context::None, Keep);
    rule(format!(r"(?:\x00|{space}+|\x99)"), Context::None, Skip);
    rule(
        r"(?:\r?\n|[\r\x0B\x0C\x86\x87])".into(),
        Context::None,
        NewLine,
    );
    rule(r"(?i:&nbsp;)".into(), Context::None, Skip);
    rule(r"[^\n]".into(), Context::None, Skip);
    list
}
