using Serverless.Catalog;
using Serverless.Leases;

namespace Serverless.Dispatching;

/// <summary>A model whose lease this gateway holds, and its dispatcher. It runs until it is stopped, loses the lease, learns that its epoch is stale, or fails; the lease is then given back.</summary>
internal sealed class HeldModel : IAsyncDisposable
{
    private readonly ModelName _model;
    private readonly KeptLease _lease;
    private readonly DispatchPorts _ports;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;
    private string _reason = "its lease was lost";
    private volatile bool _ended;

    public HeldModel(ModelName model, KeptLease lease, DispatchPorts ports)
    {
        (_model, _lease, _ports) = (model, lease, ports);
        ports.Observer.Held(model, lease.Lease.Epoch);
        _running = Task.Run(HoldAsync, CancellationToken.None);
    }

    /// <summary>Its dispatcher has stopped and its lease is given back.</summary>
    public bool HasEnded => _ended;

    /// <summary>Stops the dispatcher, then gives the lease back, in that order.</summary>
    public ValueTask StopAsync(string reason)
    {
        if (!HasEnded) _reason = reason;
        return DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }

    private async Task HoldAsync()
    {
        await RunAsync();
        await _lease.DisposeAsync();
        _ended = true;
        _ports.Observer.GaveUp(_model, _reason);
    }

    private async Task RunAsync()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, _lease.Lost);
        try
        {
            await new Dispatcher(_model, _lease.Lease.Epoch, _ports).RunAsync(stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }
        catch (StaleEpochException exception)
        {
            _reason = exception.Message;
        }
        catch (Exception exception)
        {
            _reason = "it failed";
            _ports.Observer.Faulted(_model, exception);
        }
    }
}
