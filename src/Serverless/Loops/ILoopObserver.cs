namespace Serverless.Loops;

/// <summary>Hears of the loops of this process that failed. Thread-safe; must not throw.</summary>
public interface ILoopObserver
{
    /// <summary>A loop failed.</summary>
    /// <param name="loop">Its name, of a closed set.</param>
    /// <param name="subject">What it works for, such as a model; empty: there is one of its kind.</param>
    /// <param name="exception">Why.</param>
    /// <param name="pause">When it is run again; null: it must not go on, and the process has to stop.</param>
    void Failed(string loop, string subject, Exception exception, TimeSpan? pause);
}

/// <summary>Hears nothing.</summary>
public sealed class NoLoopObserver : ILoopObserver
{
    /// <summary>The only one.</summary>
    public static NoLoopObserver Instance { get; } = new();

    /// <inheritdoc/>
    public void Failed(string loop, string subject, Exception exception, TimeSpan? pause)
    {
    }
}
