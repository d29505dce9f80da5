namespace Serverless.Inference.Templates;

/// <summary>
/// A model's own chat template: an interpreter of the part of Jinja that chat templates are written in. It keeps apart what is the template's and what is a user's.
/// Immutable and thread-safe.
/// </summary>
public sealed class ChatTemplate
{
    private const int MaxSource = 1 << 20;

    private readonly Execute _body;
    private readonly bool _knowsDevelopers;

    private ChatTemplate(Execute body, bool showsTools, bool knowsDevelopers)
    {
        (_body, ShowsTools, _knowsDevelopers) = (body, showsTools, knowsDevelopers);
    }

    /// <summary>Names that the server sets: a request's own variables may not take them.</summary>
    public static IReadOnlySet<string> ReservedNames => TemplateGlobals.Reserved;

    /// <summary>Whether the template reads <c>tools</c>. Where it does not, the model would never see them.</summary>
    public bool ShowsTools { get; }

    /// <summary>Parses a template.</summary>
    /// <exception cref="TemplateException">It is malformed, or longer or nested deeper than is read; the message names the line.</exception>
    public static ChatTemplate Parse(string source)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (source.Length > MaxSource) throw new TemplateException($"The template has {source.Length} characters; at most {MaxSource} are read.");

        try
        {
            var parser = new TemplateParser(new TokenReader(new TemplateLexer(source).Read()));
            var body = parser.Parse();
            return new ChatTemplate(body, parser.Names.Contains("tools"), source.Contains("developer", StringComparison.Ordinal));
        }
        catch (Exception exception) when (exception is not (TemplateException or OutOfMemoryException))
        {
            throw new TemplateException($"The template is written in a way that is not known: {exception.Message}");
        }
    }

    /// <summary>The prompt for a conversation.</summary>
    /// <exception cref="TemplateException">The template refuses the messages, or takes more memory, work or depth than one prompt may.</exception>
    public IReadOnlyList<TemplateSegment> Render(ChatTemplateInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var budget = new TemplateBudget();
        List<TemplateText> output = [];
        try
        {
            _body(TemplateGlobals.Scope(budget, input, _knowsDevelopers, output));
            return Segments(output);
        }
        catch (Exception exception) when (exception is not (TemplateException or OutOfMemoryException))
        {
            // A comparison that is refused while a list is sorted comes wrapped.
            if (exception.InnerException is TemplateException inner) throw inner;
            throw new TemplateException($"Line {budget.Line}: the template uses a function in a way that is not known: {exception.Message}");
        }
    }

    /// <summary>Own text that was written in parts is one stretch again: a control token may have been put together.</summary>
    private static List<TemplateSegment> Segments(List<TemplateText> output)
    {
        var segments = new List<TemplateSegment>();
        var parts = new List<string>();
        var isData = false;
        foreach (var text in output)
        {
            foreach (var (start, length, data) in text.Stretches())
            {
                if (data != isData) Flush();
                isData = data;
                parts.Add(length == text.Length ? text.Value : text.Value.Substring(start, length));
            }
        }

        Flush();
        return segments;

        void Flush()
        {
            if (parts.Count > 0) segments.Add(new TemplateSegment(parts.Count == 1 ? parts[0] : string.Concat(parts), isData));
            parts.Clear();
        }
    }
}
