namespace Serverless.Inference.Templates;

/// <summary>
/// A model's own chat template: an interpreter of the part of Jinja that chat templates are written in. It keeps apart what is the template's and what is a user's.
/// Immutable and thread-safe.
/// </summary>
public sealed class ChatTemplate
{
    private readonly Execute _body;

    private ChatTemplate(Execute body)
    {
        _body = body;
    }

    /// <summary>Parses a template.</summary>
    /// <exception cref="TemplateException">It is malformed; the message names the line.</exception>
    public static ChatTemplate Parse(string source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return new ChatTemplate(new TemplateParser(new TokenReader(new TemplateLexer(source).Read())).Parse());
    }

    /// <summary>The prompt for a conversation.</summary>
    /// <exception cref="TemplateException">The template refuses the messages, or exceeds its limits of steps, depth and output.</exception>
    public IReadOnlyList<TemplateSegment> Render(ChatTemplateInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        List<TemplateText> output = [];
        try
        {
            _body(TemplateGlobals.Scope(input, output));
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidCastException or FormatException or OverflowException or InvalidOperationException)
        {
            throw new TemplateException($"The template uses a function in a way that is not known: {exception.Message}");
        }

        return [.. TemplateText.Concat(output).Segments()];
    }
}
