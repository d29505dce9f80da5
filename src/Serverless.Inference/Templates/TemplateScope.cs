namespace Serverless.Inference.Templates;

/// <summary>The variables of a block, those of the blocks around it behind them, and where its output goes.</summary>
internal sealed class TemplateScope(TemplateScope? parent, TemplateBudget budget, List<TemplateText> output)
{
    private Dictionary<string, object?>? _variables;

    public TemplateBudget Budget => budget;

    public List<TemplateText> Output => output;

    public object? this[string name]
    {
        get
        {
            for (var scope = this; scope is not null; scope = scope.Parent)
            {
                if (scope._variables is not null && scope._variables.TryGetValue(name, out var value)) return value;
            }

            return Undefined.Value;
        }

        set
        {
            budget.Pay(64);
            (_variables ??= new Dictionary<string, object?>(StringComparer.Ordinal))[name] = value;
        }
    }

    private TemplateScope? Parent => parent;

    /// <summary>A block of its own variables that writes to the same place, or to <paramref name="elsewhere"/>.</summary>
    public TemplateScope Nested(List<TemplateText>? elsewhere = null)
    {
        budget.Pay(192);
        return new TemplateScope(this, budget, elsewhere ?? output);
    }

    public void Write(TemplateText text)
    {
        budget.PayText(2L * text.Length); // it is cut and joined once more, into the prompt
        output.Add(text);
    }
}
