using Serverless.Demand;
using Serverless.Leases;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Dispatching;

/// <summary>What dispatchers work with.</summary>
/// <param name="Queue">Brings requests.</param>
/// <param name="Log">Decides who may speak for them.</param>
/// <param name="Sessions">Bring workers.</param>
/// <param name="Leases">Say who dispatches a model and which gateways live.</param>
/// <param name="Demand">Tells the scaler.</param>
/// <param name="EndObservers">Are told of every end.</param>
/// <param name="Observer">Tells the host.</param>
/// <param name="Time">The clock.</param>
public sealed record DispatchPorts(
    IRequestQueue Queue, IRequestLog Log, IWorkerSessions Sessions, ILeases Leases, IDemandFeed Demand, IEnumerable<IEndObserver> EndObservers, IDispatchObserver Observer, TimeProvider Time);
