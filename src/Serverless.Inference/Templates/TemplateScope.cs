namespace Serverless.Inference.Templates;

/// <summary>The variables of a block, those of the blocks around it behind them, and where its output goes.</summary>
internal sealed class TemplateScope(TemplateScope? parent, TemplateBudget budget, List<TemplateText> output)
{
    private readonly Dictionary<string, object?> _variables = new(StringComparer.Ordinal);

    public TemplateBudget Budget => budget;

    public List<TemplateText> Output => output;

    public object? this[string name]
    {
        get => _variables.TryGetValue(name, out var value) ? value : parent is null ? Undefined.Value : parent[name];
        set => _variables[name] = value;
    }

    /// <summary>A block of its own variables that writes to the same place, or to <paramref name="elsewhere"/>.</summary>
    public TemplateScope Nested(List<TemplateText>? elsewhere = null) => new(this, budget, elsewhere ?? output);

    public void Write(TemplateText text, int line)
    {
        budget.Write(text.Length, line);
        output.Add(text);
    }
}
