using System.Text;

namespace Serverless.Inference.Templates;

/// <summary>Cuts a template into tokens, with Jinja's <c>trim_blocks</c> and <c>lstrip_blocks</c> as chat templates are written for.</summary>
internal sealed class TemplateLexer(string source)
{
    private static readonly string[] Operators = ["**", "//", "==", "!=", "<=", ">=", "(", ")", "[", "]", "{", "}", ",", ".", ":", "|", "~", "+", "-", "*", "/", "%", "<", ">", "="];

    private readonly List<TemplateToken> _tokens = [];
    private int _at;
    private int _line = 1;

    public List<TemplateToken> Read()
    {
        var (trimStart, trimNewline) = (false, false);
        while (_at < source.Length)
        {
            var tag = NextTag();
            var data = source[_at..tag];
            var kind = tag < source.Length ? source[tag + 1] : ' ';
            var dash = tag + 2 < source.Length && source[tag + 2] == '-';
            var plus = tag + 2 < source.Length && source[tag + 2] == '+';
            Data(data, trimStart, trimNewline, dash, strip: tag < source.Length && kind != '{' && !plus);
            if (tag >= source.Length) break;

            _at = tag + (dash || plus ? 3 : 2);
            (trimStart, trimNewline) = kind == '#' ? Comment() : Tag(kind == '{');
        }

        _tokens.Add(new TemplateToken(TokenKind.End, "", _line));
        return _tokens;
    }

    private int NextTag()
    {
        for (var at = source.IndexOf('{', _at); at >= 0 && at + 1 < source.Length; at = source.IndexOf('{', at + 1))
        {
            if (source[at + 1] is '{' or '%' or '#') return at;
        }

        return source.Length;
    }

    private void Data(string data, bool trimStart, bool trimNewline, bool trimEnd, bool strip)
    {
        var lines = data.Count(character => character == '\n');
        if (trimStart) data = data.TrimStart();
        else if (trimNewline && data.StartsWith('\n')) data = data[1..];

        if (trimEnd)
        {
            data = data.TrimEnd();
        }
        else if (strip)
        {
            var start = data.LastIndexOf('\n') + 1;
            var alone = start > 0 || _tokens.Count == 0 || trimNewline || trimStart;
            if (alone && data.AsSpan(start).Trim(" \t").IsEmpty) data = data[..start];
        }

        if (data.Length > 0) _tokens.Add(new TemplateToken(TokenKind.Data, data, _line));
        _line += lines;
    }

    private (bool TrimStart, bool TrimNewline) Comment()
    {
        var end = source.IndexOf("#}", _at, StringComparison.Ordinal);
        if (end < 0) throw Fault("a comment does not end");

        var dash = end > _at && source[end - 1] == '-';
        _line += source.AsSpan(_at, end - _at).Count('\n');
        _at = end + 2;
        return (dash, !dash);
    }

    private (bool TrimStart, bool TrimNewline) Tag(bool expression)
    {
        _tokens.Add(new TemplateToken(expression ? TokenKind.ExpressionStart : TokenKind.StatementStart, "", _line));
        var close = expression ? "}}" : "%}";
        var depth = 0;
        while (true)
        {
            SkipSpace();
            var rest = source.AsSpan(_at);
            if (depth == 0 && rest.StartsWith(close, StringComparison.Ordinal)) return End(expression, 2, dash: false, plus: false);
            if (depth == 0 && (rest.StartsWith("-" + close, StringComparison.Ordinal) || rest.StartsWith("+" + close, StringComparison.Ordinal))) return End(expression, 3, rest[0] == '-', rest[0] == '+');

            Token();
            depth += _tokens[^1] switch
            {
                { Kind: TokenKind.Operator, Text: "(" or "[" or "{" } => 1,
                { Kind: TokenKind.Operator, Text: ")" or "]" or "}" } => -1,
                _ => 0,
            };
        }
    }

    private (bool TrimStart, bool TrimNewline) End(bool expression, int length, bool dash, bool plus)
    {
        _at += length;
        _tokens.Add(new TemplateToken(expression ? TokenKind.ExpressionEnd : TokenKind.StatementEnd, "", _line));
        return (dash, !expression && !dash && !plus);
    }

    private void SkipSpace()
    {
        for (; _at < source.Length && char.IsWhiteSpace(source[_at]); _at++)
        {
            if (source[_at] == '\n') _line++;
        }

        if (_at >= source.Length) throw Fault("a tag does not end");
    }

    private void Token()
    {
        var first = source[_at];
        if (first is '\'' or '"') Text(first);
        else if (char.IsAsciiDigit(first)) Run(TokenKind.Number, character => char.IsAsciiDigit(character) || character == '.');
        else if (char.IsLetter(first) || first == '_') Run(TokenKind.Name, character => char.IsLetterOrDigit(character) || character == '_');
        else if (Operators.FirstOrDefault(known => source.AsSpan(_at).StartsWith(known, StringComparison.Ordinal)) is { } known) Add(TokenKind.Operator, known, known.Length);
        else throw Fault($"'{first}' is not known");
    }

    private void Run(TokenKind kind, Func<char, bool> belongs)
    {
        var end = _at;
        while (end < source.Length && belongs(source[end])) end++;
        Add(kind, source[_at..end], end - _at);
    }

    private void Text(char quote)
    {
        var text = new StringBuilder();
        var at = _at + 1;
        for (; at < source.Length && source[at] != quote; at++)
        {
            if (source[at] == '\n') _line++;
            if (source[at] != '\\' || at + 1 >= source.Length)
            {
                text.Append(source[at]);
                continue;
            }

            at++;
            text.Append(source[at] switch
            {
                'n' => "\n",
                't' => "\t",
                'r' => "\r",
                '\\' or '\'' or '"' => source[at].ToString(),
                var other => "\\" + other,
            });
        }

        if (at >= source.Length) throw Fault("a string does not end");
        Add(TokenKind.Text, text.ToString(), at + 1 - _at);
    }

    private void Add(TokenKind kind, string text, int length)
    {
        _tokens.Add(new TemplateToken(kind, text, _line));
        _at += length;
    }

    private TemplateException Fault(string what) => new($"Line {_line}: {what}.");
}
