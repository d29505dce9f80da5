namespace Serverless.Inference.Templates;

/// <summary>Walks the tokens of a template.</summary>
internal sealed class TokenReader(List<TemplateToken> tokens)
{
    private int _at;

    public TemplateToken Current => tokens[_at];

    public int Line => Current.Line;

    /// <summary>The current piece; the end is never passed.</summary>
    public TemplateToken Take() => Current.Kind == TokenKind.End ? Current : tokens[_at++];

    public bool IsName(string name, int ahead = 0) => _at + ahead < tokens.Count && tokens[_at + ahead] is { Kind: TokenKind.Name } token && token.Text == name;

    public bool IsOperator(string text) => Current.Kind == TokenKind.Operator && Current.Text == text;

    /// <summary>Whether a name and then an equals sign follow: a named argument.</summary>
    public bool IsAssignment() => Current.Kind == TokenKind.Name && tokens[_at + 1] is { Kind: TokenKind.Operator, Text: "=" };

    public bool TryName(string name)
    {
        if (!IsName(name)) return false;
        _at++;
        return true;
    }

    public bool TryOperator(string text)
    {
        if (!IsOperator(text)) return false;
        _at++;
        return true;
    }

    public string Name() => Current.Kind == TokenKind.Name ? Take().Text : throw Fault("a name");

    public void Operator(string text)
    {
        if (!TryOperator(text)) throw Fault($"'{text}'");
    }

    public void Expect(TokenKind kind)
    {
        if (Current.Kind != kind) throw Fault(kind.ToString());
        _at++;
    }

    public TemplateException Fault(string wanted) =>
        new($"Line {Line}: {wanted} is expected, {(Current.Kind == TokenKind.End ? "the template ends" : $"'{Current.Text}' ({Current.Kind}) is there")}.");
}
