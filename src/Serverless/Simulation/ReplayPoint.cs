namespace Serverless.Simulation;

/// <summary>One point of a replay's plot.</summary>
/// <param name="At">Seconds.</param>
/// <param name="Desired">Replicas asked for.</param>
/// <param name="Ready">Replicas that take work.</param>
/// <param name="Waiting">Requests that wait.</param>
/// <param name="Arrivals">Prompt and output tokens that arrived since the point before, per second.</param>
public readonly record struct ReplayPoint(double At, int Desired, int Ready, int Waiting, double Arrivals);
