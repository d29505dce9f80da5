using Serverless.Catalog;

namespace Serverless.Dispatching;

/// <summary>Whether the log's store answers. While it does not, nothing new begins and what runs goes on; after each pause it is tried again. Not thread-safe.</summary>
internal sealed class StoreGate(ModelName model, IDispatchObserver observer, TimeProvider time)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private DateTimeOffset _closedUntil;
    private bool _away;

    public bool IsOpen => !_away || time.GetUtcNow() >= _closedUntil;

    /// <summary>A call did not reach it.</summary>
    public void Close()
    {
        _closedUntil = time.GetUtcNow() + Pause;
        if (_away) return;

        _away = true;
        observer.StoreLost(model);
    }

    /// <summary>A call did.</summary>
    public void Answered()
    {
        if (!_away || !IsOpen) return; // an answer from before the loss may come after it

        _away = false;
        observer.StoreBack(model);
    }
}
