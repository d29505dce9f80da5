using System.Collections.Concurrent;
using System.Reflection;

namespace Serverless.Tests.Dispatching;

/// <summary>What is to fail, and how.</summary>
internal sealed class Faults
{
    private readonly ConcurrentDictionary<string, int> _called = new(StringComparer.Ordinal);
    private volatile string? _method;
    private TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _thrown;

    public Exception What { get; set; } = new InvalidOperationException();

    /// <summary>How often it did.</summary>
    public int Thrown => Volatile.Read(ref _thrown);

    /// <summary>How often any method of that port was called.</summary>
    public int Called(string port) => _called.GetValueOrDefault(port);

    /// <summary>Ends with the next call of any method of any port from now on.</summary>
    public Task NextCall => Volatile.Read(ref _next).Task;

    /// <summary>From now on this method fails, as <c>Interface.Method</c>; null: none.</summary>
    public string? Method
    {
        get => _method;
        set => _method = value;
    }

    public bool IsDue(MethodInfo method)
    {
        _called.AddOrUpdate(method.DeclaringType!.Name, 1, (_, calls) => calls + 1);
        Interlocked.Exchange(ref _next, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
        if (Method != $"{method.DeclaringType!.Name}.{method.Name}") return false;
        Interlocked.Increment(ref _thrown);
        return true;
    }
}
