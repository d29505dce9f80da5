using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.CompilerServices;
using Serverless.Requests;

namespace Serverless.Tests.Dispatching;

/// <summary>A port of which any method may be made to fail: at once, or where it gives a task, through that.</summary>
[SuppressMessage("Performance", "CA1852:Seal internal types", Justification = "A proxy is derived from it when the tests run.")]
internal class FaultyPort<T> : DispatchProxy
    where T : class
{
    private static readonly MethodInfo LaterOf = typeof(FaultyPort<T>).GetMethod(nameof(LaterAsync), BindingFlags.NonPublic | BindingFlags.Static)!;

    private T _inner = null!;
    private Faults _faults = null!;

    public static T Of(T inner, Faults faults)
    {
        var proxy = Create<T, FaultyPort<T>>();
        var port = (FaultyPort<T>)(object)proxy;
        (port._inner, port._faults) = (inner, faults);
        return proxy;
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        if (_faults.IsDue(targetMethod!))
        {
            var given = targetMethod!.ReturnType;
            if (given == typeof(ValueTask)) return new ValueTask(LaterAsync<bool>(_faults.What).AsTask());
            if (given.IsGenericType && given.GetGenericTypeDefinition() == typeof(ValueTask<>)) return LaterOf.MakeGenericMethod(given.GetGenericArguments()).Invoke(null, [_faults.What]);
            throw _faults.What;
        }

        var result = targetMethod!.Invoke(_inner, BindingFlags.DoNotWrapExceptions, null, args, null);
        return result is IAsyncEnumerable<IRequestDelivery> deliveries ? WrapAsync(deliveries, TestContext.Current.CancellationToken) : result;
    }

    private static async ValueTask<TResult> LaterAsync<TResult>(Exception what)
    {
        await Task.Yield();
        throw what;
    }

    private async IAsyncEnumerable<IRequestDelivery> WrapAsync(IAsyncEnumerable<IRequestDelivery> deliveries, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var delivery in deliveries.WithCancellation(cancellationToken)) yield return FaultyPort<IRequestDelivery>.Of(delivery, _faults);
    }
}
