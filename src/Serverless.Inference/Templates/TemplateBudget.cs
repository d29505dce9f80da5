using System.Runtime.CompilerServices;

namespace Serverless.Inference.Templates;

/// <summary>
/// What one rendering may use: a template is a program of the model's file, and runs on every request, in the gateway too. One account pays for all it does: a unit is
/// about a byte of memory or a nanosecond of work, and nothing is built, copied, compared, sorted or written before it is paid for.
/// </summary>
internal sealed class TemplateBudget
{
    private const long MaxUnits = 128L << 20;
    private const int MaxDepth = 100;
    private const int StepUnits = 32;
    private const int ObjectUnits = 64;

    private long _left = MaxUnits;
    private int _depth;

    /// <summary>The line of the statement that runs.</summary>
    public int Line { get; set; } = 1;

    /// <summary>One operation. What is nested deeper than the thread's stack holds ends here as a fault.</summary>
    public void Step()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw Fault("its expressions are nested too deep");
        Pay(StepUnits);
    }

    /// <summary>Work or memory.</summary>
    public void Pay(long units)
    {
        if ((_left -= units) < 0) throw Fault($"the template takes more than its {MaxUnits >> 20} MB of memory and work for one prompt");
    }

    /// <summary>A text that is built.</summary>
    public void PayText(long characters) => Pay(ObjectUnits + (2 * characters));

    /// <summary>A list or map that is built.</summary>
    public void PayItems(long count) => Pay(ObjectUnits + (16 * count));

    /// <summary>A search of a text for another, at worst.</summary>
    public void PaySearch(long characters, long sought) => Pay(StepUnits + characters + (characters * sought / 64));

    /// <summary>A macro that is called, or a value inside a value that is compared.</summary>
    public void Enter()
    {
        Step();
        if (++_depth > MaxDepth) throw Fault($"macros or values are nested more than {MaxDepth} deep");
    }

    public void Leave() => _depth--;

    public TemplateException Fault(string what) => new($"Line {Line}: {what}.");
}
