using Serverless.Catalog;
using Serverless.Leases;
using Serverless.Loops;

namespace Serverless.Dispatching;

/// <summary>
/// A model that this gateway dispatches: its lease and its dispatcher, which hang on each other. It runs until it is stopped, loses the lease, learns that its epoch is stale, or
/// fails; the lease is then given back and the model is anybody's again, whatever failed.
/// </summary>
internal sealed class DispatchedModel : IAsyncDisposable
{
    private readonly ModelName _model;
    private readonly KeptLease _lease;
    private readonly DispatchPorts _ports;
    private readonly ILoopObserver _loops;
    private readonly Dispatcher _dispatcher;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;
    private string _reason = "its lease was lost";
    private bool _isRetired;

    public DispatchedModel(ModelName model, KeptLease lease, DispatchPorts ports, ILoopObserver loops)
    {
        (_model, _lease, _ports, _loops) = (model, lease, ports, loops);
        _dispatcher = new Dispatcher(model, lease.Lease.Epoch, ports);
        _running = Task.Run(RunAsync, CancellationToken.None);
    }

    /// <summary>Its dispatcher has stopped and its lease is given back, or runs out by itself.</summary>
    public bool HasEnded => _running.IsCompleted;

    /// <summary>Whether its dispatcher looks for work, or sleeps until there is some.</summary>
    public bool IsAwake => _dispatcher.IsAwake;

    /// <summary>Says that something may wait for it.</summary>
    public void Wake() => _dispatcher.Wake();

    /// <summary>Whether its dispatcher has requests, or had some of late.</summary>
    public bool HoldsWork => _dispatcher.HoldsWork;

    /// <summary>Says whether the catalogue has the model; said again and again, told when it changes. One that it has no longer ends by itself, with what runs of it.</summary>
    public void Follow(bool isInCatalog)
    {
        if (_isRetired == isInCatalog && _dispatcher.Retire(!isInCatalog)) _isRetired = !isInCatalog;
    }

    /// <summary>Stops the dispatcher, then gives the lease back, in that order. Never throws.</summary>
    public async Task StopAsync(string reason)
    {
        if (!HasEnded) _reason = reason;
        await _stop.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    public async ValueTask DisposeAsync() => await StopAsync("it is disposed of");

    private async Task RunAsync()
    {
        try
        {
            await DispatchAsync();
        }
        finally
        {
            await _lease.DisposeAsync();
            _ports.Demand.Withdraw(_model);
            _ports.Observer.GaveUp(_model, _reason);
        }
    }

    private async Task DispatchAsync()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, _lease.Lost);
        try
        {
            _ports.Observer.Held(_model, _lease.Lease.Epoch);
            await _dispatcher.RunAsync(stop.Token);
            _reason = "the catalogue has it no longer";
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
            _loops.Failed("dispatcher", _model.Value, exception, DispatcherSet.Interval);
        }
    }
}
