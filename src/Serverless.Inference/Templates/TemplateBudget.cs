namespace Serverless.Inference.Templates;

/// <summary>What one rendering may use: a template is a program of the model's file, and runs on every request.</summary>
internal sealed class TemplateBudget
{
    private const int MaxSteps = 5_000_000;
    private const int MaxCharacters = 64 * 1024 * 1024;
    private const int MaxDepth = 100;

    private int _steps;
    private long _characters;
    private int _depth;

    public void Step(int line)
    {
        if (++_steps > MaxSteps) throw new TemplateException($"Line {line}: the template takes more than {MaxSteps} steps.");
    }

    public void Write(int characters, int line)
    {
        if ((_characters += characters) > MaxCharacters) throw new TemplateException($"Line {line}: the template makes more than {MaxCharacters} characters.");
    }

    public void Enter(int line)
    {
        if (++_depth > MaxDepth) throw new TemplateException($"Line {line}: macros call each other more than {MaxDepth} deep.");
    }

    public void Leave() => _depth--;
}
